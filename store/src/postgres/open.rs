//! Connects to the databases of a store and brings their tables to this build's format, or says in a sentence why not.

use std::{error::Error as _, fmt::Write as _, io, sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use rules::canary::{self, Bug};
use tokio_postgres::{
    Client, Config, Error,
    config::{Host, TargetSessionAttrs},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::shard::{PARTS_MAX, Part};

/// The newest format this build reads and writes; the one row of `everfold.format`.
const FORMAT: i64 = 4;
/// From this format on a database notes which part of a store it is; before, each was a whole one.
const FORMAT_OF_PARTS: i64 = 4;
const STORE_BEFORE_PARTS: i64 = 0;
/// Connections that read, claim and erase, beside the one that commits.
const READERS: usize = 4;
/// How long a connection may take to be made, and how long a free one may be waited for.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// After this long without an answer from its machine a connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often the tables are tried to be made while other nodes do the same.
const TRIES: u32 = 20;
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// What every connection is told first, as far as its database knows it. What is asked here is asked by key, so no
/// statement may be planned to read a whole table while that is small, and be kept when it has grown; none is worth
/// compiling. Whoever falls silent within a transaction holds locks that others wait for.
const SESSION: &str = "
    SELECT set_config(name, value, false)
    FROM (VALUES
        ('enable_seqscan', 'off'),
        ('jit', 'off'),
        ('idle_in_transaction_session_timeout', '10s')
    ) AS wanted (name, value)
    WHERE current_setting(name, true) IS NOT NULL";

/// Why a database cannot be used. None of them repeats the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "store_address: That is no address of a PostgreSQL database. hint: write it as \
         postgres://user:password@host:5432/database, with every special character of the password as %XX."
    )]
    Address,
    #[error(
        "store_newer: {database} has format {found}; this build knows formats up to {known}. Nothing was changed. \
         hint: use the version of Everfold that wrote it, or a newer one."
    )]
    Newer { database: String, found: i64, known: i64 },
    #[error("store_parts: {found} databases were named. hint: name 1 to {PARTS_MAX} of them, with spaces between.")]
    Count { found: usize },
    #[error("store_parts: {database} was named twice. Nothing was changed. hint: name each database of a store once.")]
    Twice { database: String },
    #[error(
        "store_parts: {database} is {found} that one store is in, and was named as {named}. Nothing in it was changed. \
         hint: name all of them, in the order in which they were named the first time."
    )]
    Misplaced { database: String, found: Part, named: Part },
    #[error(
        "store_parts: {database} is part of another store than others that were named with it. Nothing in it was changed. \
         hint: name the databases that one store is in."
    )]
    Mixed { database: String },
    #[error(
        "store_parts: {database} is new, but others that were named with it hold a store already. Nothing was changed. \
         hint: name the databases that this store is in; if one was lost, put a backup in its place."
    )]
    Lost { database: String },
    #[error(
        "store_unsafe: {database} has {setting} = off, and would lose what it has acknowledged. hint: set it to on in \
         postgresql.conf."
    )]
    Unsafe { database: String, setting: &'static str },
    #[error(
        "store_untrusted: {database} did not prove who it is: {words}. hint: install the authority that signed its \
         certificate on this machine, or name its file in SSL_CERT_FILE; where nobody else is on the way, write \
         ?sslmode=disable."
    )]
    Untrusted { database: String, words: String },
    #[error(
        "store_unusable: {database} cannot be used: {words}. hint: check the address, that PostgreSQL runs, and that \
         its user may make tables in this database."
    )]
    Unusable { database: String, words: String },
}

/// Connections to the databases of a store, in the order of its parts, with their tables there. None is changed before
/// all were found to be what they were named as.
pub(super) async fn databases(addresses: &[&str]) -> Result<Vec<(Pool, Part)>, OpenError> {
    if !(1..=PARTS_MAX).contains(&addresses.len()) {
        return Err(OpenError::Count { found: addresses.len() });
    }
    let mut databases: Vec<Database> = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let database = Database::connect(address, Part { number, of: addresses.len() }).await?;
        if databases.iter().any(|other| other.name == database.name) {
            return Err(OpenError::Twice { database: database.name });
        }
        databases.push(database);
    }
    let (mut new, mut is_in_use, mut store) = (None, false, None);
    for database in &databases {
        match database.store().await? {
            Some(found) if *store.get_or_insert(found) != found => return Err(database.mixed()),
            Some(_) => is_in_use = is_in_use || database.keeps_something().await?,
            None => new = Some(database),
        }
    }
    if let Some(new) = new.filter(|_| is_in_use) {
        return Err(OpenError::Lost { database: new.name.clone() });
    }
    for database in &databases {
        let made = database.make(store).await?;
        if *store.get_or_insert(made) != made {
            return Err(database.mixed());
        }
    }
    Ok(databases.into_iter().map(|database| (database.pool, database.part)).collect())
}

/// One that is being opened.
struct Database {
    /// For people.
    name: String,
    /// What it was named as.
    part: Part,
    pool: Pool,
    client: Object,
}

impl Database {
    async fn connect(address: &str, part: Part) -> Result<Database, OpenError> {
        let mut config: Config = address.parse().map_err(|_| OpenError::Address)?;
        config
            .application_name("everfold")
            .connect_timeout(CONNECT_WAIT)
            .keepalives_idle(SILENCE_MAX / 2)
            .keepalives_interval(SILENCE_MAX / 4)
            .keepalives_retries(2)
            .tcp_user_timeout(SILENCE_MAX)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if canary::is_planted(Bug::NoSync) {
            config.options("-c synchronous_commit=off");
        }
        let name = name(&config);
        let unusable = |words| OpenError::Unusable { database: name.clone(), words };
        let pool = pool(config).map_err(unusable)?;
        let client = pool.get().await.map_err(|error| match &error {
            PoolError::Backend(refused) if is_of_tls(refused) => {
                OpenError::Untrusted { database: name.clone(), words: words(refused) }
            }
            _ => unusable(pool_words(&error)),
        })?;
        for setting in ["fsync", "synchronous_commit"].into_iter().filter(|_| !canary::is_planted(Bug::NoSync)) {
            let found = client.query_one("SELECT current_setting($1, true)", &[&setting]).await;
            if found.map_err(|error| unusable(words(&error)))?.get::<_, Option<&str>>(0) == Some("off") {
                return Err(OpenError::Unsafe { database: name, setting });
            }
        }
        Ok(Database { name, part, pool, client })
    }

    /// Which store it is a part of; `None` without tables. An error if this build does not know its format, or if it is
    /// another part than it was named as.
    async fn store(&self) -> Result<Option<i64>, OpenError> {
        let Some(format) = format(&self.client).await.map_err(|error| self.refused(&error))? else { return Ok(None) };
        if format > FORMAT {
            return Err(OpenError::Newer { database: self.name.clone(), found: format, known: FORMAT });
        }
        let (found, store) = match format {
            ..FORMAT_OF_PARTS => (Part::WHOLE, STORE_BEFORE_PARTS),
            _ => part(&self.client).await.map_err(|error| self.refused(&error))?,
        };
        if found != self.part {
            return Err(OpenError::Misplaced { database: self.name.clone(), found, named: self.part });
        }
        Ok(Some(store))
    }

    async fn keeps_something(&self) -> Result<bool, OpenError> {
        const KEEPS: &str = "SELECT EXISTS (SELECT 1 FROM everfold.record) OR EXISTS (SELECT 1 FROM everfold.row)";
        let found = self.client.query_one(KEEPS, &[]).await.map_err(|error| self.refused(&error))?;
        Ok(found.get(0))
    }

    /// Brings it to this build's format, and gives which store it is a part of: this one, if it is new and there is one
    /// yet. Of two that make it as different parts at the same time the second is refused.
    async fn make(&self, store: Option<i64>) -> Result<i64, OpenError> {
        let mut tries = 1;
        loop {
            match upgrade(&self.client, self.part, store).await {
                Err(error) if tries < TRIES && was_beaten(&error) => tokio::time::sleep(TRY_PAUSE).await,
                upgraded => break upgraded.map_err(|error| self.refused(&error))?,
            }
            tries += 1;
        }
        let made = self.store().await?;
        made.ok_or_else(|| OpenError::Unusable { database: self.name.clone(), words: "its tables are gone".into() })
    }

    fn mixed(&self) -> OpenError {
        OpenError::Mixed { database: self.name.clone() }
    }

    fn refused(&self, error: &Error) -> OpenError {
        OpenError::Unusable { database: self.name.clone(), words: words(error) }
    }
}

fn pool(config: Config) -> Result<Pool, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, MakeRustlsConnect::new(tls), recycling);
    let session =
        Hook::async_fn(|client, _| Box::pin(async { client.batch_execute(SESSION).await.map_err(HookError::Backend) }));
    Pool::builder(manager)
        .max_size(1 + READERS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECTION_WAIT))
        .create_timeout(Some(CONNECT_WAIT))
        .post_create(session)
        .build()
        .map_err(|error| error.to_string())
}

/// Which database this is, for people: without the password.
fn name(config: &Config) -> String {
    let host = config.get_hosts().first().map_or("localhost".into(), |host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("The database '{}' at {host}:{port}", config.get_dbname().or(config.get_user()).unwrap_or_default())
}

async fn format(client: &Client) -> Result<Option<i64>, Error> {
    match client.query_opt("SELECT version FROM everfold.format", &[]).await {
        Ok(found) => Ok(found.map(|found| found.get(0))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which part of which store it is.
async fn part(client: &Client) -> Result<(Part, i64), Error> {
    let found = client.query_one("SELECT part, parts, store FROM everfold.format", &[]).await?;
    let count = |column| usize::try_from(found.get::<_, i64>(column)).unwrap_or(usize::MAX);
    Ok((Part { number: count(0), of: count(1) }, found.get(2)))
}

/// Brings a database to [`FORMAT`], in one transaction; a new one becomes this part of this store. Every step stays here for
/// good.
async fn upgrade(client: &Client, named: Part, store: Option<i64>) -> Result<(), Error> {
    let found = format(client).await?.unwrap_or(0);
    if found >= FORMAT {
        return Ok(());
    }
    let part = if found < 1 { named } else { Part::WHOLE };
    let mut steps = String::from("BEGIN;");
    if found < 1 {
        // The newest record of a lane is never erased: it says where the lane ends. A node's lease is a row of its own,
        // so that renewing it waits for no commit, which locks the shards of its lanes.
        steps += "
            CREATE SCHEMA IF NOT EXISTS everfold;
            CREATE TABLE everfold.format (version int8 NOT NULL);
            INSERT INTO everfold.format (version) VALUES (0);
            CREATE TABLE everfold.record (
                lane bytea NOT NULL,
                position int8 NOT NULL,
                hash bytea NOT NULL,
                body bytea NOT NULL,
                PRIMARY KEY (lane, position)
            );
            CREATE TABLE everfold.row (
                key bytea NOT NULL PRIMARY KEY,
                value bytea NOT NULL
            );
            CREATE TABLE everfold.node (
                id bytea NOT NULL PRIMARY KEY,
                until timestamptz NOT NULL
            );
            CREATE TABLE everfold.shard (
                id int8 NOT NULL PRIMARY KEY,
                owner bytea,
                epoch int8 NOT NULL
            );";
        let shards: Vec<String> = part.shards().map(|shard| format!("({}, 0)", shard.number())).collect();
        let _ = write!(steps, "INSERT INTO everfold.shard (id, epoch) VALUES {};", shards.join(", "));
    }
    if found < 2 {
        // Where a node is reached and from which directory it was started; which key has sealed what is secret here.
        steps += "
            ALTER TABLE everfold.node ADD COLUMN address text;
            ALTER TABLE everfold.node ADD COLUMN home bytea;
            ALTER TABLE everfold.node ADD COLUMN version text;
            ALTER TABLE everfold.node ADD COLUMN since timestamptz;
            ALTER TABLE everfold.format ADD COLUMN seal bytea;";
    }
    if found < 3 {
        // From here on hooks have shards of their own. Whoever knows it otherwise owns nothing any more.
        steps += "
            UPDATE everfold.shard SET owner = NULL, epoch = epoch + 1;";
    }
    if found < 4 {
        // Which part of a store this is, for good: its shards are here, and no others. A store is drawn with the first of
        // its databases.
        let Part { number, of } = part;
        let store = store.map_or("(random() * 9e18)::int8".into(), |store| store.to_string());
        let _ = write!(
            steps,
            "ALTER TABLE everfold.format ADD COLUMN part int8 NOT NULL DEFAULT {number};
            ALTER TABLE everfold.format ADD COLUMN parts int8 NOT NULL DEFAULT {of};
            ALTER TABLE everfold.format ADD COLUMN store int8 NOT NULL DEFAULT {store};"
        );
    }
    let _ = write!(steps, "UPDATE everfold.format SET version = {FORMAT}; COMMIT");
    let made = client.batch_execute(&steps).await;
    if made.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    made
}

fn is_of_tls(error: &Error) -> bool {
    let broken = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    broken.and_then(io::Error::get_ref).is_some_and(|cause| cause.is::<rustls::Error>())
}

fn is_missing(error: &Error) -> bool {
    let states = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_SCHEMA, SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|code| states.contains(code))
}

/// Another node makes the same tables at this moment.
fn was_beaten(error: &Error) -> bool {
    let states = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_COLUMN,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| states.contains(code))
}

/// The database's own words for an error.
pub(super) fn words(error: &Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} ({})", told.message(), told.code().code());
    }
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

pub(super) fn pool_words(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => words(error),
        PoolError::Timeout(_) => "it does not answer".into(),
        other => other.to_string(),
    }
}
