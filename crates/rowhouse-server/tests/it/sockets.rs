//! Connections: whoever is slow is given up and told so, and hinders nobody; a process that is told to stop finishes what
//! is under way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::callers::{Serve, Tenant, fresh_slug, get, number, operator, post};
use crate::world::{Answer, LIMIT};

/// `ROWHOUSE_TIMEOUT` of a process that has little patience, in seconds.
const PATIENCE: &str = "1";
/// It waits for more than that, and for much less than this.
const SOON: Duration = Duration::from_secs(20);

fn open(port: u16, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

/// What comes until the other side closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// One byte more, again and again, until the other side has had enough.
fn drip(stream: &mut TcpStream) -> Answer {
    let began = Instant::now();
    let mut reader = stream.try_clone().unwrap();
    reader
        .set_read_timeout(Some(Duration::from_millis(150)))
        .unwrap();
    let mut answer = Vec::new();
    loop {
        drop(stream.write_all(b"x"));
        match reader.read_to_end(&mut answer) {
            Ok(_) => return Answer::parse(&String::from_utf8(answer).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) if !answer.is_empty() => {
                return Answer::parse(&String::from_utf8(answer).unwrap());
            }
            Err(error) => panic!("{error}"),
        }
        assert!(began.elapsed() < SOON, "nobody has had enough");
    }
}

fn founding(slug: &str, more: &str) -> (String, String) {
    let body = json!({ "slug": slug, "name": "Slow", "kind": "organization" }).to_string();
    let head = format!(
        "POST /api/v1/tenants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{more}\r\n",
        operator(),
        body.len()
    );
    (head, body)
}

#[test]
#[ignore = "long: make test.long"]
fn slow_headers_are_given_up_and_their_sender_is_told() {
    let serve = Serve::beside(&[("ROWHOUSE_TIMEOUT", PATIENCE)]);
    let began = Instant::now();
    let mut slow = open(
        serve.port,
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
    );
    let mut silent = open(serve.port, "");
    let answer = drip(&mut slow);
    assert_eq!((answer.status, &*answer.code()), (408, "timeout"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let id = answer
        .header("x-request-id")
        .expect("what leads to the log");
    assert!(serve.log().contains(id), "{id}: {}", serve.log());
    assert_eq!(rest(&mut silent), "", "who asks nothing is told nothing");
    assert!((Duration::from_millis(900)..SOON).contains(&began.elapsed()));
    assert_eq!(get("/healthz").send_to(serve.port).status, 200);
}

#[test]
#[ignore = "long: make test.long"]
fn a_slow_body_is_given_up_holds_up_nobody_and_leaves_nothing() {
    let serve = Serve::beside(&[("ROWHOUSE_TIMEOUT", "3")]);
    let slug = fresh_slug();
    let tenants = || {
        number(&format!(
            "select count(*) from rowhouse.tenants where slug = '{slug}'"
        ))
    };
    let (head, body) = founding(&slug, "connection: close\r\n");
    let mut many: Vec<TcpStream> = (0..10)
        .map(|_| open(serve.port, &format!("{head}{}", &body[..10])))
        .collect();
    let home = Tenant::founded();
    let key = home.writer();
    let asked = get(&home.path("/resources")).by(&key).send_to(serve.port);
    assert_eq!(asked.status, 200);
    for slow in &mut many {
        let answer = Answer::parse(&rest(slow));
        assert_eq!((answer.status, &*answer.code()), (408, "timeout"));
    }
    assert_eq!(tenants(), 0);
    // The control: the same at once.
    let mut stream = open(serve.port, &format!("{head}{body}"));
    assert_eq!(Answer::parse(&rest(&mut stream)).status, 201);
    assert_eq!(tenants(), 1);
}

/// Whoever has no credential can be slow where none is asked for, and takes an eighth of the places there.
#[test]
#[ignore = "long: make test.long"]
fn slow_bodies_of_nobody_keep_no_caller_out() {
    let patience = ("ROWHOUSE_TIMEOUT", "6");
    let serve = Serve::beside(&[patience, ("ROWHOUSE_CONCURRENCY", "16")]);
    let home = Tenant::founded();
    let (key, list) = (home.writer(), home.path("/resources"));
    let began = Instant::now();
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer tk_made_up\r\n\
             content-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{"
        )
    };
    let ways = [
        "/api/v1/invitations/accept".to_owned(),
        "/invitations/accept".to_owned(),
        list.clone(),
    ];
    let mut slow: Vec<TcpStream> = (0..120)
        .map(|n| open(serve.port, &head(&ways[n % ways.len()])))
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..5 {
        let asked = get(&list).by(&key).send_to(serve.port);
        assert_eq!(asked.status, 200, "{asked:?}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "they were given up"
    );
    let mut statuses: Vec<u16> = slow
        .iter_mut()
        .map(|slow| Answer::parse(&rest(slow)).status)
        .collect();
    statuses.sort_unstable();
    // A made-up key is refused before its body is read; two of the others had a place, until their time was up.
    assert_eq!(statuses[..40], [401; 40]);
    assert_eq!(statuses[40..42], [408; 2]);
    assert_eq!(statuses[42..], [503; 78]);
    let accept = post("/api/v1/invitations/accept", &json!({ "token": "made-up" }));
    assert_ne!(accept.send_to(serve.port).status, 503);
}

#[test]
fn a_process_that_is_told_to_stop_finishes_what_is_under_way() {
    let mut serve = Serve::beside(&[]);
    let slug = fresh_slug();
    let (head, body) = founding(&slug, "");
    let (first, second) = body.split_at(10);
    let mut under_way = open(serve.port, &format!("{head}{first}"));
    // A connection that asked before and is kept; nobody waits for it.
    let mut kept = open(
        serve.port,
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    let mut bytes = [0; 12];
    kept.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 200");
    std::thread::sleep(Duration::from_millis(300));

    serve.signal("-TERM");
    assert!(rest(&mut kept).contains("ok"), "closed behind its answer");
    assert!(
        TcpStream::connect(("127.0.0.1", serve.port)).is_err(),
        "nobody is let in any more"
    );
    assert!(serve.is_running(), "a request is under way");
    under_way.write_all(second.as_bytes()).unwrap();
    let answer = Answer::parse(&rest(&mut under_way));
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(serve.ended(), Some(0));
    let there = number(&format!(
        "select count(*) from rowhouse.tenants where slug = '{slug}'"
    ));
    assert_eq!(there, 1);
}

#[test]
#[ignore = "long: make test.long"]
fn a_process_that_is_told_to_stop_does_not_wait_for_ever() {
    let mut serve = Serve::beside(&[("ROWHOUSE_TIMEOUT", PATIENCE)]);
    let (head, body) = founding(&fresh_slug(), "");
    let mut never = open(serve.port, &format!("{head}{}", &body[..10]));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    serve.signal("-TERM");
    let answer = Answer::parse(&rest(&mut never));
    assert_eq!((answer.status, &*answer.code()), (408, "timeout"));
    assert_eq!(serve.ended(), Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn one_connection_takes_many_requests() {
    let serve = Serve::beside(&[]);
    let one = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    let asked = format!(
        "{}{one}connection: close\r\n\r\n",
        format!("{one}\r\n").repeat(4)
    );
    let answers = rest(&mut open(serve.port, &asked));
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 5, "{answers}");
}
