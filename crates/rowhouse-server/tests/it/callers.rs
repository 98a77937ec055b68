//! Callers of the API, each test's tenants being its own: their tickets and keys, what they send, and what lies in the
//! database afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rowhouse::ids::{InvitationId, KeyId, TenantId, UserId};
use rowhouse::members::Role;
use rowhouse::{Config, Context, Owner, Rowhouse, SealSource, members, sessions, users};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::world::{Answer, LIMIT, exchange, free_port, rowhouse, shared};

/// A request, to the shared house where nothing else is said.
#[derive(Clone)]
pub struct Call {
    method: String,
    path: String,
    headers: String,
    body: Vec<u8>,
}

pub fn call(method: &str, path: &str) -> Call {
    Call {
        method: method.to_uppercase(),
        path: path.to_owned(),
        headers: String::new(),
        body: Vec::new(),
    }
}

pub fn get(path: &str) -> Call {
    call("GET", path)
}

pub fn post(path: &str, body: &Value) -> Call {
    call("POST", path).json(body)
}

impl Call {
    pub fn by(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.headers, "{name}: {value}\r\n").unwrap();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// With an `Idempotency-Key`.
    pub fn once(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn send(&self) -> Answer {
        self.send_to(shared().port)
    }

    pub fn send_to(&self, port: u16) -> Answer {
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}content-length: {}\r\n\r\n",
            self.method,
            self.path,
            self.headers,
            self.body.len()
        )
        .into_bytes();
        bytes.extend(&self.body);
        exchange(port, &bytes)
    }

    /// Sends it and expects this status.
    #[track_caller]
    pub fn gets(&self, status: u16) -> Answer {
        let answer = self.send();
        assert_eq!(
            answer.status, status,
            "{} {}: {answer:?}",
            self.method, self.path
        );
        answer
    }

    /// Sends it and expects this refusal.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Answer {
        let answer = self.gets(status);
        assert_eq!(
            answer.code(),
            code,
            "{} {}: {answer:?}",
            self.method,
            self.path
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        answer
    }

    /// Sends it and expects to be told that this field breaks a rule.
    #[track_caller]
    pub fn invalid(&self, field: &str) -> Answer {
        let answer = self.refused(400, "invalid");
        let body = answer.json();
        assert_eq!(
            body["field"], field,
            "{} {}: {answer:?}",
            self.method, self.path
        );
        assert!(
            body["rule"].as_str().is_some_and(|rule| !rule.is_empty()),
            "{answer:?}"
        );
        answer
    }
}

/// The token of the shared house's operator.
pub fn operator() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let connection = shared().connection();
        connection["operator_token"].as_str().unwrap().to_owned()
    })
}

/// A tenant of the shared house, founded by its operator, without members.
pub struct Tenant {
    pub id: String,
    pub slug: String,
}

impl Tenant {
    pub fn founded() -> Self {
        let body = json!({ "slug": fresh_slug(), "name": "Tenant", "kind": "organization" });
        Self::of(
            &post("/api/v1/tenants", &body)
                .by(operator())
                .gets(201)
                .json(),
        )
    }

    pub fn of(answer: &Value) -> Self {
        Self {
            id: text(&answer["id"]),
            slug: text(&answer["slug"]),
        }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}{rest}", self.slug)
    }

    fn typed(&self) -> TenantId {
        self.id.parse().unwrap()
    }

    /// A ticket of the tenant's own principal, that may write.
    pub fn writer(&self) -> String {
        ticket(&Context::tenant(self.typed()))
    }

    /// The same, that may only read.
    pub fn reader(&self) -> String {
        ticket(&Context::tenant(self.typed()).read_only())
    }

    /// A ticket of a new member in this role.
    pub fn member(&self, role: Role) -> String {
        ticket(&Context::user(self.typed(), self.user(role)))
    }

    /// A new member in this role.
    pub fn user(&self, role: Role) -> UserId {
        let (manager, library) = (self.manager(), library());
        runtime().block_on(async {
            let mut tx = library.begin_platform().await.unwrap();
            let email = format!("{}@example.com", fresh_slug());
            let user = users::create(&mut tx, &email, "Member").await.unwrap();
            members::add(&mut tx, &manager, user.id, role)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            user.id
        })
    }

    /// Token of a session of this user.
    pub fn session(&self, user: UserId) -> String {
        let (context, library) = (Context::user(self.typed(), user), library());
        runtime().block_on(async {
            let mut tx = library.begin_platform().await.unwrap();
            let hour = Duration::from_hours(1);
            let made = sessions::open(&mut tx, &context, hour, None).await.unwrap();
            tx.commit().await.unwrap();
            made.secret.reveal().to_owned()
        })
    }

    /// Id and token of an invitation by the platform, of which no mail is sent: the database tells nobody a token.
    pub fn invited(&self, email: &str, role: Role) -> (String, String) {
        let (id, tenant) = (InvitationId::new(), uuid(&self.id));
        let token = format!("invite_{}{:016x}", id.uuid().simple(), 7);
        execute(&format!(
            "insert into rowhouse.invitations (tenant_id, id, email, role, digest, invited_by, expires_at, mail_id)
             select '{tenant}', '{id}', '{email}', '{role}', sha256('{token}'), l.principal_id, now() + interval '1 day', gen_random_uuid()
             from rowhouse_private.liveness l
             where l.tenant_id = '{tenant}' and (l.role = 'owner' or l.kind = 'system')
             order by l.role = 'owner' desc limit 1;
             insert into rowhouse.locator (kind, digest, tenant_id, id) values ('invitation', sha256('{token}'), '{tenant}', '{id}')",
            id = id.uuid()
        ));
        (id.to_string(), token)
    }

    /// Who adds members: an owner, or the platform while there is none.
    fn manager(&self) -> Context {
        let id = uuid(&self.id);
        let manager = column(&format!(
            "select principal_id::text from rowhouse_private.liveness
             where tenant_id = '{id}' and (role = 'owner' or kind = 'system')
             order by role = 'owner' desc, principal_id limit 1"
        ));
        let manager: Uuid = manager[0].parse().unwrap();
        Context::principal(self.typed(), manager.into())
    }

    /// Id and secret of a key, written where the operator would have it made: what it is checked by is quickly worked out.
    pub fn key(&self, permissions: &[&str]) -> (String, String) {
        const QUICK: u32 = 4;
        let (id, secret) = (KeyId::new(), format!("tk_{}", KeyId::new().uuid().simple()));
        let hash = bcrypt::hash(&secret, QUICK).unwrap();
        let insert =
            "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash, permissions)
                      values ($1, 'key', left($2, 8), sha256($2::text::bytea), $3, $4)";
        let library = library();
        runtime().block_on(async {
            let mut tx = library.begin_system(self.typed()).await.unwrap();
            tx.execute(insert, &[&id, &secret, &hash, &json!(permissions)])
                .await
                .unwrap();
            tx.commit().await.unwrap();
        });
        (id.to_string(), secret)
    }

    /// Id and secret of a key that the operator makes.
    pub fn key_by_operator(&self, permissions: &[&str]) -> (String, String) {
        let body = json!({ "name": "key", "permissions": permissions });
        let made = post(&self.path("/keys"), &body)
            .by(operator())
            .gets(201)
            .json();
        (text(&made["id"]), text(&made["secret"]))
    }

    /// A new resource.
    pub fn resource(&self, title: &str) -> Value {
        let body = json!({ "type": "prompt", "title": title });
        post(&self.path("/resources"), &body)
            .by(&self.writer())
            .gets(201)
            .json()
    }

    /// Number and digest of the rows that belong to this tenant, table by table, also of tables that come later.
    pub fn footprint(&self) -> BTreeMap<String, String> {
        static TABLES: OnceLock<Vec<String>> = OnceLock::new();
        let tables = TABLES.get_or_init(|| {
            column("select table_name from rowhouse.managed_tables where schema_name = 'rowhouse' and class <> 'shared'")
        });
        let id = uuid(&self.id);
        let mut parts: Vec<(&str, &str)> = tables
            .iter()
            .map(|table| (table.as_str(), "tenant_id"))
            .collect();
        parts.extend([("tenants", "id"), ("platform_audit", "tenant_id")]);
        let query: Vec<String> = parts
            .iter()
            .map(|(table, column)| {
                let but = match *table {
                    "audit_log" | "platform_audit" => {
                        "and action not in ('access.refuse', 'access.read')"
                    }
                    _ => "",
                };
                format!(
                    "select '{table} ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '')
                     from rowhouse.{table} t where {column} = '{id}' {but}"
                )
            })
            .collect();
        column(&query.join(" union all "))
            .into_iter()
            .map(|line| {
                let (table, rows) = line.split_once(' ').unwrap();
                (table.to_owned(), rows.to_owned())
            })
            .collect()
    }
}

/// A slug that no other test uses.
pub fn fresh_slug() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("tenant-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The text of a JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

/// An id of this kind that nothing has.
pub fn missing(prefix: &str) -> String {
    format!("{prefix}_01h455vb4pex5vsknk084sn02q")
}

/// An id as the database has it.
pub fn uuid(id: &str) -> Uuid {
    const DIGITS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let (_, suffix) = id.rsplit_once('_').unwrap();
    let bits = suffix.chars().fold(0_u128, |bits, digit| {
        bits << 5 | u128::try_from(DIGITS.find(digit).unwrap()).unwrap()
    });
    Uuid::from_u128(bits)
}

/// A ticket for a while.
pub fn ticket(context: &Context) -> String {
    runtime()
        .block_on(library().ticket(context, Duration::from_mins(10)))
        .unwrap()
        .reveal()
}

/// One runtime, so that a connection outlives the call that made it.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// The library on the shared house's database.
pub fn library() -> &'static Rowhouse {
    static LIBRARY: OnceLock<Rowhouse> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let database = shared().connection()["database"].clone();
        let seal = SealSource::Database(text(&database["sealer"]).into());
        let config =
            Config::new(text(&database["app"]), seal).with_platform(text(&database["platform"]));
        // Apart: whoever comes first may be inside the runtime already.
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| runtime().block_on(Rowhouse::connect(config)));
            connecting.join().unwrap().unwrap()
        })
    })
}

fn owner<T>(work: impl AsyncFnOnce(&mut Owner) -> T) -> T {
    static OWNER: OnceLock<Mutex<Owner>> = OnceLock::new();
    let owner = OWNER.get_or_init(|| {
        let url = text(&shared().connection()["database"]["owner"]);
        Mutex::new(runtime().block_on(Owner::connect(url)).unwrap())
    });
    let mut owner = owner.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(work(&mut owner))
}

/// The texts that a query gives, as the owner of the shared house's database, who sees all tenants.
pub fn column(query: &str) -> Vec<String> {
    owner(async |owner| {
        let rows = owner.client().query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

/// The number that a query gives.
pub fn number(query: &str) -> i64 {
    owner(async |owner| {
        owner
            .client()
            .query_one(query, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
    })
}

/// Statements, as the owner.
pub fn execute(statements: &str) {
    owner(async |owner| owner.client().batch_execute(statements).await.unwrap());
}

/// A database of its own on the shared house's server, with what `rowhouse seed` makes; its owner's URL.
pub fn own_database(name: &str) -> String {
    let url = text(&shared().connection()["database"]["owner"]);
    execute(&format!("create database {name}"));
    let url = match url.split_once('?') {
        Some((base, query)) => format!("{}/{name}?{query}", base.rsplit_once('/').unwrap().0),
        None => format!("{}/{name}", url.rsplit_once('/').unwrap().0),
    };
    for command in ["migrate", "seed"] {
        let ran = rowhouse()
            .args([command, "--database", &url])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
    url
}

/// A ticket of a new member who is in this many teams.
pub fn ticket_of_teams(tenant: &Tenant, teams: u16) -> String {
    let member = tenant.member(Role::Member);
    let id = uuid(&tenant.id);
    runtime().block_on(async {
        let mut tx = library().begin_system(tenant.typed()).await.unwrap();
        tx.batch(&format!(
            "insert into rowhouse.teams (tenant_id, id, name)
             select '{id}', gen_random_uuid(), 'Team ' || n from generate_series(1, {teams}) n;
             insert into rowhouse.team_members (tenant_id, team_id, user_id)
             select t.tenant_id, t.id, m.user_id
             from rowhouse.teams t join rowhouse.tenant_members m using (tenant_id)
             where t.tenant_id = '{id}'"
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
    });
    member
}

/// Another `rowhouse serve`, with settings of its own. Dropped, it is ended.
pub struct Serve {
    pub port: u16,
    child: Child,
}

impl Serve {
    /// On the shared house's database, as one service with it: it sends some of its mail.
    pub fn beside(settings: &[(&str, &str)]) -> Self {
        let (data, url) = (
            shared().data(),
            format!("http://localhost:{}", shared().port),
        );
        let settings = [&[("ROWHOUSE_PUBLIC_URL", url.as_str())], settings].concat();
        Self::with(&["--data", data.to_str().unwrap()], &settings)
    }

    /// On the database of this owner.
    pub fn on(url: &str, settings: &[(&str, &str)]) -> Self {
        Self::with(&["--database", url], settings)
    }

    /// On the database that its settings name.
    pub fn by(settings: &[(&str, &str)]) -> Self {
        Self::with(&[], settings)
    }

    fn with(place: &[&str], settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let child = rowhouse()
            .args(["serve", "--port", &port.to_string()])
            .args(place)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log(port)).unwrap())
            .spawn()
            .unwrap();
        let mut serve = Self { port, child };
        let began = Instant::now();
        while !serve.answers() {
            assert!(
                serve.child.try_wait().unwrap().is_none(),
                "rowhouse serve ended: {}",
                serve.log()
            );
            assert!(began.elapsed() < LIMIT, "not ready in time");
            std::thread::sleep(Duration::from_millis(20));
        }
        serve
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(log(self.port)).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended; its exit code, or none after a kill.
    pub fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < LIMIT, "did not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().unwrap().code()
    }

    fn answers(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && get("/readyz").send_to(self.port).status == 200
    }
}

fn log(port: u16) -> PathBuf {
    shared().folder.path().join(format!("serve-{port}.log"))
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
