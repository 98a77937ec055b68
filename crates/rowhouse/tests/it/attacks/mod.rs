//! The attacks on a wall made of row-level security, each as a test; the letter and number are its row in the threat
//! model. The attacker is the application's login, inside a transaction of alpha, and runs any SQL he likes; beta is
//! the victim. Beside each refusal stands what the same login may do, so that a refusal of everything is no pass.
//!
//! A check is a function of a world. Here it runs in a fresh one, where it has to pass; `mutants` runs it in one whose
//! wall lacks a piece, where it has to fail. What it says then begins with `HOLE`: another failure kills no mutant.

pub mod a_wall;
pub mod b_ways_around;
pub mod c_context;
pub mod d_keys;
pub mod e_side_channels;
pub mod p_projects;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rowhouse::{Config, Context, Error, Rowhouse, SealSource};
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use crate::world::{Tenant, World, cluster, config, connect, drop_database, template, try_connect};

/// One attack, or one look at the catalogue.
pub type Check = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// No check may take longer.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Lists the checks of a file: as `CHECKS` for `mutants`, and each as a test in a world of its own.
macro_rules! checks {
    ($($name:ident),+ $(,)?) => {
        pub const CHECKS: &[(&str, $crate::attacks::Check)] =
            &[$((stringify!($name), |world| Box::pin($name(world)))),+];

        #[cfg(test)]
        mod as_tests {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let world = $crate::attacks::scene().await;
                    let (_, check) = super::CHECKS.iter().find(|(name, _)| *name == stringify!($name)).unwrap();
                    tokio::time::timeout($crate::attacks::PATIENCE, check(&world)).await.expect("a check takes too long");
                    $crate::attacks::tear_down(world).await;
                }
            )+
        }
    };
}
pub(crate) use checks;

/// What alpha and beta have in `public.notes`; their ids are 1, 2 and 1, 2, 3.
pub const MINE: &[&str] = &["alpha one", "alpha two"];
pub const THEIRS: &[&str] = &["beta one", "beta three", "beta two"];
/// A resource of each.
pub const MY_RESOURCE: &str = "00000000-0000-7000-8000-00000000a001";
pub const THEIR_RESOURCE: &str = "00000000-0000-7000-8000-00000000b001";

/// Two tenants with rows: in a table of the user's own, `public.notes`, and in ours.
pub async fn scene() -> World {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    World::copy_of(TEMPLATE.get_or_init(|| template("scene", rows)).await).await
}

async fn rows(root: &Client, [alpha, beta]: &[Tenant; 2]) {
    walled(root, "notes").await;
    for (tenant, resource, bodies) in [
        (alpha, MY_RESOURCE, "alpha one,alpha two"),
        (beta, THEIR_RESOURCE, "beta one,beta two,beta three"),
    ] {
        let (id, owner, slug) = (tenant.id.uuid(), tenant.owner.uuid(), tenant.slug);
        root.batch_execute(&format!(
            "insert into notes (tenant_id, id, body) select '{id}', n, body from unnest('{{{bodies}}}'::text[]) with ordinality as b (body, n);
             insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id)
             select '{id}', '{resource}', 'prompt', '{slug} prompt', w.id, '{owner}' from rowhouse.workspaces w where w.tenant_id = '{id}';
             insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access) values ('{id}', '{resource}', '{owner}', 'admin');"
        ))
        .await
        .unwrap();
    }
}

/// The world of a check that failed stays.
pub async fn tear_down(world: World) {
    let database = world.database.clone();
    drop(world);
    drop_database(&database).await;
}

/// Makes `public.<table> (tenant_id, id int, body text)` and puts it behind the wall, as `tables protect` would.
pub async fn walled(root: &Client, table: &str) {
    root.batch_execute(&format!(
        "create table public.{table} (
           tenant_id uuid not null default rowhouse.default_tenant()
             constraint {table}_tenant references rowhouse.tenants (id),
           id int not null,
           body text not null,
           constraint {table}_pkey primary key (tenant_id, id)
         );
         alter table public.{table} owner to rowhouse_owner;
         select rowhouse.raise_wall('public.{table}', 'content', 'enforce');
         grant select, insert, update (body), delete on public.{table} to rowhouse_app"
    ))
    .await
    .unwrap();
}

/// The application's login inside a transaction of alpha, as its owner.
pub async fn attacker(world: &World) -> Client {
    let client = world.app().await;
    enter(&client, world, &world.alpha.context()).await;
    client
}

/// Begins a transaction inside `context`.
pub async fn enter(client: &Client, world: &World, context: &Context) {
    client.batch_execute("begin").await.unwrap();
    let ticket = world
        .house
        .ticket(context, Duration::from_mins(1))
        .await
        .unwrap();
    client
        .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
        .await
        .unwrap();
}

/// Why a statement failed.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: String,
    /// Message, detail, hint and context: all that reaches the attacker.
    pub said: String,
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        let db = error
            .as_db_error()
            .unwrap_or_else(|| panic!("the connection broke: {error}"));
        Self {
            code: db.code().code().to_owned(),
            said: [
                Some(db.message()),
                db.detail(),
                db.hint(),
                db.where_(),
                db.table(),
                db.constraint(),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n"),
        }
    }
}

/// The rows of a text, columns joined by `|`, and how many rows the last statement touched. Inside a transaction, what
/// failed is undone and the transaction goes on.
pub async fn attempt(client: &Client, sql: &str) -> Result<(Vec<String>, u64), Refusal> {
    let inside = client.batch_execute("savepoint attempt").await.is_ok();
    let done = client.simple_query(sql).await;
    if done.is_err() && inside {
        client
            .batch_execute("rollback to savepoint attempt")
            .await
            .unwrap();
    }
    let mut rows = Vec::new();
    let mut touched = 0;
    for message in done? {
        match message {
            SimpleQueryMessage::Row(row) => rows.push(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or("null"))
                    .collect::<Vec<_>>()
                    .join("|"),
            ),
            SimpleQueryMessage::CommandComplete(count) => touched = count,
            _ => {}
        }
    }
    Ok((rows, touched))
}

/// The statement fails with this SQLSTATE (or one of several, separated by spaces), and says nothing of beta's.
pub async fn refused(client: &Client, sql: &str, codes: &str) -> Refusal {
    match attempt(client, sql).await {
        Ok((rows, touched)) => {
            panic!("HOLE: not refused: {sql}\nrows: {rows:?}, touched: {touched}")
        }
        Err(refusal) => {
            assert!(
                codes.split(' ').any(|code| code == refusal.code),
                "HOLE: refused, but not with {codes}: {sql}\n{refusal:?}"
            );
            says_nothing_of_beta(&refusal.said);
            refusal
        }
    }
}

/// The statement answers these rows.
pub async fn sees(client: &Client, sql: &str, rows: &[&str]) {
    match attempt(client, sql).await {
        Ok((seen, _)) => assert_eq!(seen, rows, "HOLE: {sql}"),
        Err(refusal) => panic!("HOLE: refused what is allowed: {sql}\n{refusal:?}"),
    }
}

/// The statement touches this many rows.
pub async fn touches(client: &Client, sql: &str, rows: u64) {
    match attempt(client, sql).await {
        Ok((_, touched)) => assert_eq!(touched, rows, "HOLE: rows touched by {sql}"),
        Err(refusal) => panic!("HOLE: refused what is allowed: {sql}\n{refusal:?}"),
    }
}

/// What the login may not do here, it may not do beside either: in a database of the server where nothing was revoked.
pub async fn cannot_leave_its_database(world: &World) {
    for login in ["test_app", "test_platform"] {
        connect(&world.url(login)).await;
        for database in ["postgres", "template1"] {
            let Err(refusal) = try_connect(&cluster().url(login, database)).await else {
                panic!("HOLE: {login} is let into {database}");
            };
            let code = refusal.code().map(SqlState::code);
            assert_eq!(code, Some("42501"), "HOLE: {login}: {refusal}");
        }
    }
    // Their superuser is.
    connect(&cluster().superuser("postgres")).await;
}

/// The statement is allowed.
pub async fn allowed(client: &Client, sql: &str) -> Vec<String> {
    match attempt(client, sql).await {
        Ok((rows, _)) => rows,
        Err(refusal) => panic!("HOLE: refused what is allowed: {sql}\n{refusal:?}"),
    }
}

/// Alpha's notes, all of them and nothing else.
pub async fn sees_mine(client: &Client) {
    sees(client, "select body from public.notes order by 1", MINE).await;
}

/// Beta's notes, all of them and nothing else.
pub async fn sees_theirs(client: &Client) {
    sees(client, "select body from public.notes order by 1", THEIRS).await;
}

/// Nothing that belongs to beta stands in this text.
pub fn says_nothing_of_beta(text: &str) {
    let text = text.to_lowercase();
    assert!(!text.contains("beta"), "HOLE: it tells of beta: {text}");
}

/// As superuser: both tenants' notes are still what they were.
pub async fn nothing_changed(world: &World) {
    let root = world.superuser().await;
    let all: Vec<&str> = MINE.iter().chain(THEIRS).copied().collect();
    sees(
        &root,
        &format!(
            "select body from public.notes order by tenant_id <> '{}', body",
            world.alpha.id.uuid()
        ),
        &all,
    )
    .await;
}

/// A house with a single connection, so that the next borrower gets what the last one left.
pub async fn lone(world: &World) -> Rowhouse {
    Rowhouse::connect(Config {
        pool_size: 1,
        ..config(&world.database)
    })
    .await
    .unwrap()
}

/// The configuration of the world's own house.
pub fn config_of(world: &World) -> Config {
    config(&world.database)
}

/// Bodies of the notes that `context` sees through `house`.
pub async fn notes_through(house: &Rowhouse, context: &Context) -> Vec<String> {
    house
        .query(context, "select body from public.notes order by 1", &[])
        .await
        .unwrap_or_else(|error| {
            panic!("HOLE: the next borrower was hurt by the last one: {error:?}")
        })
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// A login of its own in the application's groups: roles belong to the server, which all worlds share. Its name.
pub async fn login(world: &World, name: &str) -> String {
    let login = format!("{}_{name}", world.database);
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "create role {login} login password 'test' in role rowhouse_app, rowhouse_shadow"
        ))
        .await
        .unwrap();
    login
}

/// What a start with this login comes to.
pub async fn start(world: &World, login: &str) -> Result<Rowhouse, Error> {
    Rowhouse::connect(Config::new(
        world.url(login),
        SealSource::Database(world.url("test_sealer").into()),
    ))
    .await
}

/// A login that `sql` makes weak (`{login}`, `{database}` stand for its name and the database's) is refused because of
/// `why`, and accepted again once the statement was run that the refusal prints. The positive control comes first.
pub async fn weak(world: &World, name: &str, sql: &str, why: &str) {
    let login = login(world, name).await;
    if let Err(error) = start(world, &login).await {
        panic!("a plain login is refused: {error}");
    }
    let root = world.superuser().await;
    root.batch_execute(
        &sql.replace("{login}", &login)
            .replace("{database}", &world.database),
    )
    .await
    .unwrap();
    match start(world, &login).await {
        Err(Error::WeakLogin {
            why: said, mend, ..
        }) => {
            assert!(
                said.contains(why),
                "HOLE: {name}: refused because of something else: {said}"
            );
            root.batch_execute(&mend).await.unwrap_or_else(|error| {
                panic!("HOLE: {name}: the mend does not run: {mend}: {error:?}")
            });
            if let Err(error) = start(world, &login).await {
                panic!("HOLE: {name}: `{mend}` did not mend it: {error}");
            }
        }
        Err(error) => panic!("HOLE: {name}: refused otherwise: {error}"),
        Ok(_) => panic!("HOLE: {name}: a start with a login that could bypass the wall"),
    }
}

/// A connection of the application's login whose notices and log messages are kept.
#[expect(
    clippy::disallowed_methods,
    reason = "tests attack from outside of the library"
)]
pub async fn noisy(world: &World) -> (Client, UnboundedReceiver<String>) {
    let (client, mut connection) = tokio_postgres::connect(&world.url("test_app"), NoTls)
        .await
        .unwrap();
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) =
            std::future::poll_fn(|task| connection.poll_message(task)).await
        {
            let heard = match message {
                AsyncMessage::Notice(notice) => format!(
                    "{}\n{}",
                    notice.message(),
                    notice.detail().unwrap_or_default()
                ),
                AsyncMessage::Notification(notification) => format!(
                    "NOTIFY {} {}",
                    notification.channel(),
                    notification.payload()
                ),
                _ => continue,
            };
            if sender.send(heard).is_err() {
                break;
            }
        }
    });
    (client, receiver)
}

/// What was heard so far.
pub fn heard(receiver: &mut UnboundedReceiver<String>) -> String {
    let mut all = String::new();
    while let Ok(message) = receiver.try_recv() {
        all.push_str(&message);
        all.push('\n');
    }
    all
}

pub fn alpha(world: &World) -> Uuid {
    world.alpha.id.uuid()
}

pub fn beta(world: &World) -> Uuid {
    world.beta.id.uuid()
}

/// The result is this error of the library.
pub fn is_refused<T: Debug>(result: Result<T, Error>, code: &str) {
    match result {
        Ok(done) => panic!("HOLE: not refused with {code}: {done:?}"),
        Err(error) => assert_eq!(error.code(), code, "HOLE: refused otherwise: {error:?}"),
    }
}

/// A plain connection of another login.
pub async fn as_login(world: &World, login: &str) -> Client {
    connect(&world.url(login)).await
}
