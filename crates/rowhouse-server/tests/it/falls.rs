//! kill -9 of Rowhouse, and of its Postgres, while tenants are set up: afterwards each is whole, and no mail was lost; one came
//! twice only when the fall came between sending it and noting that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::callers::runtime;
use crate::smtp::{Smtp, header};
use crate::world::{Answer, House};

const TENANTS_EACH: usize = 6;
/// Within it, a tenant is set up and its mail is sent, when nothing falls.
const LONGEST: Duration = Duration::from_millis(2500);
const PATIENCE: Duration = Duration::from_mins(10);

/// `make test.long FALLS=50` for more of them.
#[test]
#[ignore = "long: make test.long"]
fn tenants_are_whole_after_falls_and_no_mail_is_lost() {
    let times = std::env::var("ROWHOUSE_FALLS").map_or(4, |falls| falls.parse().unwrap());
    let smtp = Smtp::up("accept");
    let port = smtp.port.to_string();
    let settings = [
        ("ROWHOUSE_MAIL_HOST", "localhost"),
        ("ROWHOUSE_MAIL_PORT", port.as_str()),
        ("ROWHOUSE_MAIL_TLS", "none"),
        ("ROWHOUSE_MAIL_TIMEOUT", "1"),
        ("ROWHOUSE_MAIL_RETRY", "1"),
        // The same for each life, as in a service: else what is sent again would lead to another port.
        ("ROWHOUSE_PUBLIC_URL", "https://rowhouse.example"),
    ];
    let mut house = House::up_with(tempfile::tempdir().unwrap(), &settings);
    let began = Instant::now();
    let mut slugs = Vec::new();
    // How many messages the mail server had been given when each life ended.
    let mut lives = Vec::new();
    for round in 0..times {
        let connection = house.connection();
        let token = connection["operator_token"].as_str().unwrap().to_owned();
        let before = slugs.len();
        slugs.extend((0..TENANTS_EACH).map(|n| format!("fall-{round}-{n}")));
        let wait = random(LONGEST);
        let posts = {
            let (port, slugs) = (house.port, slugs[before..].to_vec());
            std::thread::spawn(move || {
                for slug in slugs {
                    ask_for(port, &token, &slug);
                }
            })
        };
        std::thread::sleep(wait);
        if round % 2 == 0 {
            house.signal("-KILL");
        } else {
            kill_postgres(&house);
        }
        house.ended();
        posts.join().unwrap();
        lives.push(settled(&smtp));
        house = House::up_with(house.into_folder(), &settings);
    }
    let connection = house.connection();
    let token = connection["operator_token"].as_str().unwrap();
    let url = connection["database"]["owner"].as_str().unwrap();
    // What was begun before a fall is completed by nobody's asking.
    let left = "select (select count(*) from rowhouse.provisioning_runs where status <> 'done')
        + (select count(*) from rowhouse.outbox where status = 'queued')";
    wait_until(&house, || number(url, left) == 0);
    let before = number(url, "select count(*) from rowhouse.provisioning_runs");
    whole(url);
    // What was not begun, its client asks for again; what was, it may ask for again.
    for slug in &slugs {
        assert!(
            ask_for(house.port, token, slug),
            "{slug}: not answered by one that lives: {}",
            house.log()
        );
    }
    wait_until(&house, || number(url, left) == 0);
    let all = i64::try_from(slugs.len()).unwrap();
    assert_eq!(
        number(url, "select count(*) from rowhouse.provisioning_runs"),
        all
    );
    whole(url);
    lives.push(smtp.given().len());
    let twice = each_mail_came(url, &smtp, &lives);
    println!(
        "{times} falls in {:.0} s: {} tenants, {before} of them begun before or during a fall; {twice} mails came twice",
        began.elapsed().as_secs_f64(),
        slugs.len()
    );
}

/// How many messages the mail server has noted, once it has noted those that the life which just ended had given it.
fn settled(smtp: &Smtp) -> usize {
    let mut given = smtp.given().len();
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = smtp.given().len();
        if now == given {
            return given;
        }
        given = now;
    }
}

fn random(most: Duration) -> Duration {
    most * u32::try_from(RandomState::new().build_hasher().finish() % 1000).unwrap() / 1000
}

fn kill_postgres(house: &House) {
    let pid = std::fs::read_to_string(house.data().join("postgres/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap();
    assert!(
        Command::new("kill")
            .args(["-KILL", pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Founds the tenant, unless it is there, and asks for its provisioning. Whether somebody was there to answer.
fn ask_for(port: u16, token: &str, slug: &str) -> bool {
    let founded = send(
        port,
        token,
        "/api/v1/tenants",
        &json!({ "slug": slug, "name": slug, "kind": "organization" }).to_string(),
    );
    let begun = send(
        port,
        token,
        &format!("/api/v1/tenants/{slug}/provision"),
        &json!({ "admin_email": format!("admin@{slug}.example") }).to_string(),
    );
    matches!(founded, Some(201 | 409)) && begun == Some(202)
}

/// The status; none when there was nobody, or nobody any more.
fn send(port: u16, token: &str, path: &str, body: &str) -> Option<u16> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(Answer::parse(&String::from_utf8_lossy(&answer)).status)
}

fn number(url: &str, query: &str) -> i64 {
    crate::world::count(url, query)
}

#[track_caller]
fn wait_until(house: &House, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{}", house.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// No tenant that was begun has anything but one of each, and five limits.
fn whole(url: &str) {
    let counts: Vec<String> = [
        ("workspaces", 1),
        ("projects", 1),
        ("quotas", 5),
        ("tenant_configs", 1),
        ("invitations", 1),
        ("outbox", 1),
    ]
    .iter()
    .map(|(table, rows)| {
        format!(
            "(select count(*) from rowhouse.{table} x where x.tenant_id = r.tenant_id) <> {rows}"
        )
    })
    .collect();
    let broken = number(
        url,
        &format!(
            "select count(*) from rowhouse.provisioning_runs r where {} or r.status <> 'done' or cardinality(r.done) <> 6",
            counts.join(" or ")
        ),
    );
    assert_eq!(broken, 0, "tenants that are not whole");
    let jobs = number(url, "select count(*) from rowhouse.jobs");
    assert_eq!(jobs, 0, "there is nothing left to do");
}

/// Each mail of the outbox came; one that came twice is the same message, by different lives of the process, of which the
/// earlier did not note it. How many did.
fn each_mail_came(url: &str, smtp: &Smtp, lives: &[usize]) -> usize {
    let noted: HashMap<String, i32> = runtime().block_on(async {
        let mut owner = rowhouse::Owner::connect(url).await.unwrap();
        let rows = owner
            .client()
            .query(
                "select id, attempts from rowhouse.outbox where status = 'sent'",
                &[],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| {
                let id: rowhouse::ids::MailId = row.get(0);
                (format!("<{id}@localhost>"), row.get(1))
            })
            .collect()
    });
    let mut came: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (n, message) in smtp.given().iter().enumerate() {
        let life = lives.partition_point(|ended| *ended <= n);
        came.entry(header(message, "Message-ID"))
            .or_default()
            .push((life, message["data"].as_str().unwrap().to_owned()));
    }
    let lost: Vec<&String> = noted.keys().filter(|id| !came.contains_key(*id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let mut twice = 0;
    for (id, copies) in &came {
        let attempts = noted
            .get(id)
            .unwrap_or_else(|| panic!("{id} is of no tenant"));
        let in_lives: BTreeSet<usize> = copies.iter().map(|(life, _)| *life).collect();
        let texts: BTreeSet<&String> = copies.iter().map(|(_, text)| text).collect();
        assert_eq!(in_lives.len(), copies.len(), "{id}: twice in one life");
        assert_eq!(texts.len(), 1, "{id}: another message");
        assert!(usize::try_from(*attempts).unwrap() >= copies.len(), "{id}");
        twice += usize::from(copies.len() > 1);
    }
    twice
}
