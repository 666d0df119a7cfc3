//! `everfold migrate`: everything a server keeps, from a directory to PostgreSQL or back.
//!
//! While a server uses the source, what there is by now is copied. Once none does, the same command takes the source for
//! itself, copies what came since, compares all of it, and switches.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde_json::json;
use store::{
    Fault, Store,
    migration::{self, Migration, Stopped, Tally},
    postgres::{Databases, Leases, Node, NodeId, Shard},
    sqlite::{OpenError, Sqlite},
};
use tokio::time::sleep;

use super::{Failure, runtime, say};
use crate::{keeping::LEASE, serve::StartError};

const RENEW_PAUSE: Duration = Duration::from_secs(3);
/// How often the bar is drawn.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Migrate {
    /// Where everything is
    #[arg(long)]
    from: Kind,
    /// Where it is to be
    #[arg(long, required_unless_present = "reclaim")]
    to: Option<Kind>,
    /// Where everything was before it moved, for when the place it moved to is lost: serve it again as it was then
    #[arg(long, conflicts_with = "to")]
    reclaim: bool,
    /// The directory; a server may be using it, if everything is there
    #[arg(long, env = "EVERFOLD_DATA", default_value = "./everfold-data")]
    data: PathBuf,
    /// The PostgreSQL: postgres://user:password@host:5432/database. Of several, all, with spaces between. Better set in
    /// the environment
    #[arg(long, env = "EVERFOLD_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

/// One end of the move.
struct End {
    store: Arc<dyn Store>,
    /// Nobody else uses it for as long as this is here.
    is_ours: bool,
    leases: Arc<[Leases]>,
}

impl Migrate {
    pub fn run(self) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let from = self.source().await?;
            let result = match self.to {
                Some(to) => self.move_to(to, &from).await,
                None => self.reclaim(&from).await,
            };
            from.leave().await;
            result
        })
    }

    async fn move_to(&self, kind: Kind, from: &End) -> Result<(), Failure> {
        if kind == self.from {
            return Err(Failure::new("Everything is there already.").hint("name two kinds with --from and --to"));
        }
        let to = self.target(kind).await?;
        let tally = Arc::new(Tally::default());
        let moving = Migration { from: from.store.clone(), to: to.store.clone(), tally: tally.clone() };
        let mut number = [0; 16];
        getrandom::fill(&mut number).expect("the kernel gives random bytes");
        let number = u128::from_be_bytes(number);
        let moved = async {
            match from.is_ours {
                true => moving.switch(number).await,
                false => moving.copy(number).await,
            }
        };
        let moved = tokio::select! {
            moved = watched(moved, &tally) => moved,
            () = from.kept() => Err(Stopped::Disturbed("the source")),
            () = to.kept() => Err(Stopped::Disturbed("the target")),
        };
        to.leave().await;
        moved?;
        self.tell(kind, from.is_ours, &tally)
    }

    async fn reclaim(&self, from: &End) -> Result<(), Failure> {
        if !from.is_ours {
            return Err(Failure::new("A server is using it.").hint("what is served needs no reclaiming"));
        }
        migration::reclaim(&*from.store).await?;
        match self.json {
            true => say(json!({"reclaimed": true})),
            false => say("It may be served again, as it was when everything moved. Never serve both."),
        }
    }

    fn tell(&self, kind: Kind, is_switched: bool, tally: &Tally) -> Result<(), Failure> {
        let [records_copied, rows_copied, lanes, records, rows] = [
            &tally.records_copied,
            &tally.rows_copied,
            &tally.lanes_compared,
            &tally.records_compared,
            &tally.rows_compared,
        ]
        .map(|number| number.load(Relaxed));
        if self.json {
            let copied = json!({"records": records_copied, "rows": rows_copied});
            let compared = json!({"lanes": lanes, "records": records, "rows": rows});
            let compared = if is_switched { compared } else { json!(null) };
            return say(json!({"switched": is_switched, "copied": copied, "compared": compared}));
        }
        say(format_args!("{records_copied} records and {rows_copied} rows were copied"))?;
        if !is_switched {
            say("A server is using the source, and goes on with it. Stop it and run this again: it copies what came")?;
            return say("since, compares everything, and switches.");
        }
        say(format_args!(
            "{records} records in {lanes} lanes and {rows} rows were compared: both sides hold the same"
        ))?;
        let data = self.data.display();
        let key = self.data.join("everfold.key");
        match kind {
            Kind::Postgres => {
                say(format_args!("Serve it:  EVERFOLD_DATABASE=postgres://… everfold serve --data {data}"))?;
                say(format_args!("Every server needs {}: it opens the secrets.", key.display()))
            }
            Kind::Sqlite => {
                say(format_args!("Serve it:  everfold serve --data {data}"))?;
                match key.exists() {
                    true => {
                        say(format_args!("{} opens the secrets, if it is that of the servers before.", key.display()))
                    }
                    false => say(format_args!(
                        "Put everfold.key of the servers before into {data} first, or its secrets stay closed."
                    )),
                }
            }
        }?;
        say("What it was copied from stays as it is now, and is served no more.")
    }

    async fn source(&self) -> Result<End, Failure> {
        match self.from {
            Kind::Sqlite => beginning(&self.data),
            Kind::Postgres => self.database().await,
        }
    }

    async fn target(&self, kind: Kind) -> Result<End, Failure> {
        let to = match kind {
            Kind::Sqlite => End::of(Sqlite::open(&self.data).map_err(StartError::from)?, true),
            Kind::Postgres => self.database().await?,
        };
        match to.is_ours {
            true => Ok(to),
            false => Err(Failure::new("A server owns the database.")
                .hint("end every server that uses it, or name an empty database")),
        }
    }

    async fn database(&self) -> Result<End, Failure> {
        let Some(address) = &self.database else {
            return Err(Failure::new("Which database?").hint("set EVERFOLD_DATABASE, or name it with --database"));
        };
        let store = Databases::open(address).await.map_err(StartError::from)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).expect("the kernel gives random bytes");
        let leases = store.leases(Node {
            id: NodeId(u128::from_be_bytes(id)),
            // Nothing is asked of it, and it shares nothing with others.
            address: String::new(),
            home: id,
            version: env!("CARGO_PKG_VERSION").into(),
        });
        let is_ours = claim(&leases).await.map_err(StartError::from)?;
        Ok(End { leases: if is_ours { leases.into() } else { Arc::default() }, ..End::of(store, is_ours) })
    }
}

/// The store of a directory: taken for this process, or read beside the server that has it.
fn beginning(data: &Path) -> Result<End, Failure> {
    if !data.join("everfold.db").exists() {
        let missing = format!("There is no everfold.db in {}.", data.display());
        return Err(Failure::new(missing).hint("name the directory of the server with --data"));
    }
    let (store, is_ours) = match Sqlite::open(data) {
        Err(OpenError::InUse { .. }) => (Sqlite::open_beside(data), false),
        opened => (opened, true),
    };
    Ok(End::of(store.map_err(StartError::from)?, is_ours))
}

/// Makes every shard this process's; gives what it took back when a server owns one.
async fn claim(databases: &[Leases]) -> Result<bool, Fault> {
    let mut is_ours = true;
    for leases in databases {
        let shards: Vec<Shard> = leases.shards().collect();
        leases.renew(LEASE).await?;
        leases.claim(&shards).await?;
        is_ours = is_ours && leases.renew(LEASE).await?.len() == shards.len();
    }
    if !is_ours {
        for leases in databases {
            leases.leave().await?;
        }
    }
    Ok(is_ours)
}

impl End {
    fn of(store: impl Store, is_ours: bool) -> End {
        End { store: Arc::new(store), is_ours, leases: Arc::default() }
    }

    /// Keeps what is leased for as long as this is polled; resolves when somebody else has some of it.
    async fn kept(&self) {
        loop {
            sleep(RENEW_PAUSE).await;
            for leases in &*self.leases {
                // Whatever it says: what another has claimed is fenced.
                if leases.renew(LEASE).await.is_ok_and(|held| held.len() < leases.shards().count()) {
                    return;
                }
            }
        }
    }

    async fn leave(&self) {
        for leases in &*self.leases {
            let _ = leases.leave().await;
        }
    }
}

/// Shows how far it is, where somebody sits in front of it.
async fn watched<T>(work: impl Future<Output = T>, tally: &Tally) -> T {
    let style = indicatif::ProgressStyle::with_template("{spinner} {msg}  {elapsed}").expect("a fixed template");
    let bar = indicatif::ProgressBar::new_spinner().with_style(style);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            () = sleep(LOOK) => {}
        }
        let [copied, compared, rows] =
            [&tally.records_copied, &tally.records_compared, &tally.rows_compared].map(|number| number.load(Relaxed));
        bar.set_message(format!("copied {copied} records; compared {compared} records, {rows} rows"));
        bar.tick();
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Failure::of(&stopped.to_string())
    }
}
