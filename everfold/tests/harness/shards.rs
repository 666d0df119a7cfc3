//! Which server has what, of a database that several share: as the database has it.

use std::collections::HashMap;

use rules::record::LaneId;
use store::postgres::{HEAD_SHARDS, SHARDS, Shard};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::harness::{
    eventually,
    hook::{Hook, Owner},
    server::Server,
};

/// The databases that they share.
pub struct Shards {
    /// As a server is told of them.
    pub databases: String,
}

pub fn lane(hook: &Hook) -> LaneId {
    LaneId(u128::from_str_radix(&hook.id.replace('-', ""), 16).expect("an id"))
}

impl Shards {
    pub fn of(databases: impl IntoIterator<Item = String>) -> Shards {
        Shards { databases: databases.into_iter().collect::<Vec<_>>().join(" ") }
    }

    /// Where the server is reached that each shard belongs to.
    fn owners(&self) -> HashMap<i64, String> {
        const ASKED: &str = "SELECT s.id, n.address FROM everfold.shard AS s JOIN everfold.node AS n ON n.id = s.owner
            WHERE n.until > now()";
        Runtime::new().expect("a runtime").block_on(async {
            let mut owners = HashMap::new();
            for database in self.databases.split(' ') {
                let (client, connection) = tokio_postgres::connect(database, NoTls).await.expect("it answers");
                tokio::spawn(connection);
                let rows = client.query(ASKED, &[]).await.expect("it tells");
                owners.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
            }
            owners
        })
    }

    /// Waits until each of so many servers has its share.
    pub fn shared_by(&self, servers: usize) {
        eventually("each has its share", || {
            let owners = self.owners();
            let mut shares: HashMap<&str, usize> = HashMap::new();
            let apart = owners.iter().filter(|(shard, _)| **shard >= i64::from(HEAD_SHARDS));
            apart.for_each(|(_, owner)| *shares.entry(owner).or_default() += 1);
            // Of each database one more than the others, at most.
            let fair = usize::from(SHARDS - HEAD_SHARDS).div_ceil(servers) + self.databases.split(' ').count();
            let is_fair = shares.len() == servers && shares.values().all(|share| *share <= fair);
            (owners.len() == usize::from(SHARDS) && is_fair).then_some(())
        });
    }

    pub fn head(&self) -> Option<String> {
        self.owners().remove(&0)
    }

    pub fn keeper(&self, hook: &Hook) -> Option<String> {
        self.owners().remove(&i64::from(Shard::of(lane(hook)).number()))
    }

    /// A new guest's hook that runs this code, and that this server has.
    pub fn hook_of(&self, server: &Server, code: &str) -> Hook {
        let owner = Owner::guest(server);
        let hook = eventually("a hook is made there", || {
            Some(owner.hook()).filter(|hook| self.keeper(hook).as_ref() == Some(&server.address))
        });
        hook.publish(code);
        hook
    }
}
