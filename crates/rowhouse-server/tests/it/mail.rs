//! Mail, from the outbox to a real mail server: delivered once, through whatever moods the server has.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rowhouse::ids::{MailId, TenantId};
use rowhouse::mail::{self, Mail};
use rowhouse::{Config, Owner, Rowhouse, SealSource, logins, tenants};
use serde_json::Value;

use crate::callers::{Serve, Tenant, get, library, operator, own_database, runtime, text};
use crate::smtp::{Smtp, Tls, header};
use crate::world::{House, shared};

/// A database of its own, and the library on it.
struct Office {
    url: String,
    house: Rowhouse,
    tenant: TenantId,
}

impl Office {
    fn new(name: &str) -> Self {
        let url = own_database(name);
        runtime().block_on(async {
            let mut owner = Owner::connect(url.as_str()).await.unwrap();
            let logins = logins::find(&mut owner, &url.as_str().into())
                .await
                .unwrap();
            let seal = SealSource::Database(logins.sealer);
            let config = Config::new(logins.app, seal).with_platform(logins.platform);
            let house = Rowhouse::connect(config).await.unwrap();
            let mut tx = house.begin_platform().await.unwrap();
            let tenant = tenants::by_slug(&mut tx, "acme").await.unwrap().id;
            Self { url, house, tenant }
        })
    }

    fn queue(&self, to: &str) -> MailId {
        queue(&self.house, self.tenant, to)
    }

    /// A process that sends to this server; quickly again.
    fn serve(&self, smtp: &Smtp, settings: &[(&str, &str)]) -> Serve {
        let port = smtp.port.to_string();
        let mut all = vec![
            ("ROWHOUSE_MAIL_HOST", "localhost"),
            ("ROWHOUSE_MAIL_PORT", &port),
            ("ROWHOUSE_MAIL_TLS", "none"),
            ("ROWHOUSE_MAIL_RETRY", "1"),
            ("ROWHOUSE_MAIL_TIMEOUT", "2"),
        ];
        all.extend(settings);
        Serve::on(&self.url, &all)
    }

    /// Status, attempts, last error and whether the text is still there.
    fn state(&self, mail: MailId) -> (String, i32, String, bool) {
        runtime().block_on(async {
            let mut owner = Owner::connect(self.url.as_str()).await.unwrap();
            let row = owner
                .client()
                .query_one(
                    "select status, attempts, coalesce(last_error, ''), text is not null from rowhouse.outbox where id = $1",
                    &[&mail],
                )
                .await
                .unwrap();
            (row.get(0), row.get(1), row.get(2), row.get(3))
        })
    }

    #[track_caller]
    fn wait(&self, mail: MailId, what: impl Fn(&(String, i32, String, bool)) -> bool) {
        let began = Instant::now();
        loop {
            let state = self.state(mail);
            if what(&state) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "{state:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn queue(house: &Rowhouse, tenant: TenantId, to: &str) -> MailId {
    runtime().block_on(async {
        let mut tx = house.begin_system(tenant).await.unwrap();
        let mail = Mail {
            to: to.into(),
            subject: "Ein Gruß an alle".into(),
            text: "Hello!\n.\nOpen https://example.com/?token=inv_x=1.\n".into(),
        };
        let id = mail::queue(&mut tx, mail).await.unwrap();
        tx.commit().await.unwrap();
        id
    })
}

#[test]
fn without_a_server_mail_lands_in_the_data_folder_and_is_listed() {
    let tenant: TenantId = Tenant::founded().id.parse().unwrap();
    let ids = ["first@landing.example", "用户@landing.example"]
        .map(|to| (to, queue(library(), tenant, to)));
    let listed = || -> Vec<Value> {
        let answer = get("/dev/mail").by(operator()).gets(200).json();
        let items = answer["items"].as_array().unwrap().clone();
        let mine = |item: &Value| text(&item["to"]).ends_with("landing.example");
        items.into_iter().filter(mine).collect()
    };
    let began = Instant::now();
    while listed().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", listed());
        std::thread::sleep(Duration::from_millis(50));
    }
    let items = listed();
    let newest = [&items[1], &items[0]];
    for ((to, id), item) in ids.iter().zip(newest) {
        assert_eq!(item["to"], *to);
        assert_eq!(item["subject"], "Ein Gruß an alle");
        assert_eq!(
            item["text"],
            "Hello!\n.\nOpen https://example.com/?token=inv_x=1.\n"
        );
        assert_eq!(
            item["links"],
            serde_json::json!(["https://example.com/?token=inv_x=1"])
        );
        let file = shared().data().join(format!("mail/{id}.eml"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let message = std::fs::read_to_string(&file).unwrap();
        assert!(
            message.contains(&format!("Message-ID: <{id}@localhost>")),
            "{message}"
        );
    }
    // For its operator only, and only of an `up`.
    get("/dev/mail").refused(401, "unauthorized");
    let beside = Serve::beside(&[]);
    let answer = get("/dev/mail").by(operator()).send_to(beside.port);
    assert_eq!((answer.status, answer.code().as_str()), (404, "not-found"));
}

#[test]
#[ignore = "long: make test.long"]
fn a_mail_survives_a_server_that_is_down_slow_or_says_not_now() {
    let office = Office::new("mail_moods");
    let mut smtp = Smtp::down();
    let serve = office.serve(&smtp, &[]);
    let id = office.queue("eve@example.com");
    let failing = |why: &'static str| {
        move |state: &(String, i32, String, bool)| {
            state.0 == "queued" && state.2.contains(why) && state.3
        }
    };
    office.wait(id, failing("cannot be reached"));
    smtp.start("4xx", Tls::None);
    office.wait(id, failing("answered 451"));
    smtp.start("slow", Tls::None);
    office.wait(id, failing("did not answer in time"));
    // Whoever waits for a mail server holds nothing up.
    let answer = get("/readyz").send_to(serve.port);
    assert_eq!(answer.status, 200);
    smtp.start("accept", Tls::None);
    office.wait(id, |state| state.0 == "sent" && !state.3);
    let given = smtp.given();
    let accepted: Vec<&Value> = given.iter().filter(|m| m["mood"] == "accept").collect();
    assert_eq!(accepted.len(), 1, "{given:?}");
    // Each time the same message: who got it twice can tell.
    let messages: BTreeSet<&str> = given.iter().map(|m| m["data"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(
        header(accepted[0], "Message-ID"),
        format!("<{id}@localhost>")
    );
    assert_eq!(header(accepted[0], "Auto-Submitted"), "auto-generated");
    assert_eq!(accepted[0]["to"], serde_json::json!(["eve@example.com"]));
    assert!(!serve.log().contains("eve@"), "an address in the log");
}

#[test]
#[ignore = "long: make test.long"]
fn what_is_refused_for_good_or_too_often_ends() {
    let office = Office::new("mail_ends");
    let mut smtp = Smtp::up("5xx");
    let serve = office.serve(&smtp, &[("ROWHOUSE_MAIL_ATTEMPTS", "2")]);
    let refused = office.queue("eve@example.com");
    office.wait(refused, |(status, attempts, why, text)| {
        status == "failed" && *attempts == 1 && why == "the mail server answered 550" && !text
    });
    let nowhere = office.queue("eve@wrong!.example");
    office.wait(nowhere, |(status, attempts, why, text)| {
        status == "failed" && *attempts == 1 && why.contains("address") && !text
    });
    smtp.start("4xx", Tls::None);
    let often = office.queue("eve@example.com");
    office.wait(often, |(status, attempts, why, text)| {
        status == "failed" && *attempts == 2 && why.contains("451") && !text
    });
    smtp.start("accept", Tls::None);
    let fine = office.queue("eve@example.com");
    office.wait(fine, |(status, ..)| status == "sent");
    assert!(!serve.log().contains("eve@"), "an address in the log");
}

#[test]
#[ignore = "long: make test.long"]
fn starttls_comes_before_the_password_and_before_the_mail() {
    let office = Office::new("mail_tls");
    let mut smtp = Smtp::down();
    smtp.start("accept", Tls::Starttls);
    let certificate = smtp.certificate();
    let signed_in = [
        ("ROWHOUSE_MAIL_TLS", "starttls"),
        ("ROWHOUSE_MAIL_USER", "rowhouse"),
        ("ROWHOUSE_MAIL_PASSWORD", "wall"),
    ];
    let id = office.queue("eve@example.com");
    // An authority that nobody named.
    let serve = office.serve(&smtp, &signed_in);
    office.wait(id, |state| state.2.contains("TLS"));
    drop(serve);
    // Another password: about us, not about the mail, so it stays.
    let mut with_ca = signed_in.to_vec();
    with_ca.push(("ROWHOUSE_MAIL_CA", &certificate));
    let mut wrong = with_ca.clone();
    wrong[2].1 = "hard-to-guess";
    let serve = office.serve(&smtp, &wrong);
    office.wait(id, |state| state.0 == "queued" && state.2.contains("535"));
    assert!(
        !serve.log().contains("hard-to-guess"),
        "a password that prints"
    );
    drop(serve);
    // A server without STARTTLS gets neither.
    smtp.start("accept", Tls::None);
    let before = office.state(id).1;
    let serve = office.serve(&smtp, &with_ca);
    office.wait(id, |state| state.1 > before && state.2.contains("server"));
    assert!(smtp.given().is_empty(), "in the clear");
    smtp.start("accept", Tls::Starttls);
    office.wait(id, |state| state.0 == "sent");
    drop(serve);
    let given = smtp.given();
    assert_eq!(given.len(), 1);
    assert_eq!(
        (&given[0]["tls"], &given[0]["user"]),
        (&Value::from(true), &"rowhouse".into())
    );
}

/// From the first byte on: nothing is said to a server whose certificate nobody vouches for, and the mail waits.
#[test]
#[ignore = "long: make test.long"]
fn tls_from_the_first_byte_on_takes_a_certificate_that_is_vouched_for() {
    let office = Office::new("mail_smtps");
    let mut smtp = Smtp::down();
    smtp.start("accept", Tls::FirstByte);
    let mut settings = vec![
        ("ROWHOUSE_MAIL_TLS", "tls"),
        ("ROWHOUSE_MAIL_USER", "rowhouse"),
        ("ROWHOUSE_MAIL_PASSWORD", "wall"),
    ];
    let id = office.queue("eve@example.com");
    let refused = |attempts: i32| {
        move |state: &(String, i32, String, bool)| {
            let why = "no TLS with the mail server: is its certificate good?";
            state.0 == "queued" && state.1 > attempts && state.2 == why && state.3
        }
    };
    // An authority that nobody named; and another one than the server's.
    let serve = office.serve(&smtp, &settings);
    office.wait(id, refused(0));
    drop(serve);
    let elsewhere = Smtp::down();
    let other = elsewhere.certificate();
    let before = office.state(id).1;
    let serve = office.serve(
        &smtp,
        &[&settings[..], &[("ROWHOUSE_MAIL_CA", &other)]].concat(),
    );
    office.wait(id, refused(before));
    drop(serve);
    assert!(smtp.given().is_empty(), "to whoever answers");
    let certificate = smtp.certificate();
    settings.push(("ROWHOUSE_MAIL_CA", &certificate));
    let serve = office.serve(&smtp, &settings);
    office.wait(id, |state| state.0 == "sent" && !state.3);
    // A server that takes STARTTLS only is not spoken to in the clear.
    smtp.start("accept", Tls::Starttls);
    let next = office.queue("eve@example.com");
    office.wait(next, refused(0));
    drop(serve);
    let given = smtp.given();
    assert_eq!(given.len(), 1, "{given:?}");
    assert_eq!(
        (&given[0]["tls"], &given[0]["user"]),
        (&Value::from(true), &"rowhouse".into())
    );
}

#[test]
#[ignore = "long: make test.long"]
fn many_processes_send_each_mail_once() {
    const MAILS: usize = 60;
    let office = Office::new("mail_many");
    let smtp = Smtp::up("accept");
    let processes = [(); 3].map(|()| office.serve(&smtp, &[]));
    let mut queued = BTreeSet::new();
    for n in 0..MAILS {
        let id = office.queue(&format!("user{n}@example.com"));
        queued.insert(format!("<{id}@localhost>"));
    }
    for id in &queued {
        let id = id[1..].split('@').next().unwrap().parse().unwrap();
        office.wait(id, |state| state.0 == "sent");
    }
    drop(processes);
    let given: Vec<String> = smtp
        .given()
        .iter()
        .map(|m| header(m, "Message-ID"))
        .collect();
    assert_eq!(given.len(), MAILS, "one more than once, or none");
    assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), queued);
}

#[test]
fn settings_of_mail_that_contradict_are_named_and_no_password_prints() {
    let ran = crate::world::rowhouse()
        .args(["serve", "--database", "postgresql://127.0.0.1:1/none"])
        .envs([
            ("ROWHOUSE_MAIL_HOST", "localhost"),
            ("ROWHOUSE_MAIL_TLS", "none"),
            ("ROWHOUSE_MAIL_USER", "rowhouse"),
            ("ROWHOUSE_MAIL_PASSWORD", "hard-to-guess"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        said.contains("by TLS only") && !said.contains("hard-to-guess"),
        "{said}"
    );
}

/// With logins of one's own: whoever has not the mailer's says so, and sends nothing.
#[test]
#[ignore = "long: make test.long"]
fn a_process_without_the_mailers_login_leaves_mail_to_another() {
    let office = Office::new("mail_login");
    let smtp = Smtp::up("accept");
    let port = smtp.port.to_string();
    let logins = runtime().block_on(async {
        let mut owner = Owner::connect(office.url.as_str()).await.unwrap();
        let url = office.url.as_str().into();
        logins::find(&mut owner, &url).await.unwrap()
    });
    let mailer = logins.mailer.unwrap();
    let mut settings = vec![
        ("ROWHOUSE_APP_URL", logins.app.reveal()),
        ("ROWHOUSE_PLATFORM_URL", logins.platform.reveal()),
        ("ROWHOUSE_SEALER_URL", logins.sealer.reveal()),
        ("ROWHOUSE_MAIL_HOST", "localhost"),
        ("ROWHOUSE_MAIL_PORT", &port),
        ("ROWHOUSE_MAIL_TLS", "none"),
    ];
    let without = Serve::by(&settings);
    let id = office.queue("eve@example.com");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(office.state(id).1, 0, "an attempt");
    assert!(without.log().contains("set mailer_url"), "silently");
    // One that is no mailer's is refused at start.
    settings.push(("ROWHOUSE_MAILER_URL", logins.platform.reveal()));
    let ran = crate::world::rowhouse()
        .args(["serve", "--port", &crate::world::free_port().to_string()])
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("could bypass the wall"), "{said}");
    settings.pop();
    settings.push(("ROWHOUSE_MAILER_URL", mailer.reveal()));
    let serve = Serve::by(&settings);
    office.wait(id, |state| state.0 == "sent");
    assert!(!serve.log().contains("set mailer_url"), "{}", serve.log());
    assert_eq!(smtp.given().len(), 1);
}

/// What waits when a process ends is sent by the next one.
#[test]
#[ignore = "long: make test.long"]
fn mail_outlives_its_process() {
    let house = House::up();
    let connection = house.connection();
    let database = &connection["database"];
    let seal = SealSource::Database(text(&database["sealer"]).into());
    let config =
        Config::new(text(&database["app"]), seal).with_platform(text(&database["platform"]));
    let id = runtime().block_on(async {
        let library = Rowhouse::connect(config).await.unwrap();
        let mut tx = library.begin_platform().await.unwrap();
        let tenant = tenants::by_slug(&mut tx, "acme").await.unwrap().id;
        tx.commit().await.unwrap();
        let mut tx = library.begin_system(tenant).await.unwrap();
        house.signal("-STOP");
        let mail = Mail {
            to: "eve@example.com".into(),
            subject: "Later".into(),
            text: "Later".into(),
        };
        let id = mail::queue(&mut tx, mail).await.unwrap();
        tx.commit().await.unwrap();
        id
    });
    house.signal("-KILL");
    let mut house = house;
    house.ended();
    let house = House::up_on(house.into_folder());
    let began = Instant::now();
    while !house.data().join(format!("mail/{id}.eml")).exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
