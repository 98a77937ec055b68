//! Two `rowhouse serve` on one database, under load: what was refused is refused on both from the next request on, and
//! what was opened again is open on both at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::callers::{Call, Serve, Tenant, call, get, operator};
use crate::world::LIMIT;

const THREADS_EACH: usize = 3;
/// How many of each kind are to be served on each process between two changes.
const AT_LEAST: usize = 5;

/// A request: when it was begun and was answered, on which process, and how.
#[derive(Debug)]
struct Served {
    by_ticket: bool,
    began: Instant,
    ended: Instant,
    port: u16,
    status: u16,
}

#[test]
fn a_suspended_tenant_and_a_revoked_key_are_refused_everywhere_at_once() {
    let home = Tenant::founded();
    let (id, key) = home.key(&["read"]);
    home.resource("Subject");
    let both = [Serve::beside(&[]), Serve::beside(&[])];
    let ask = get(&home.path("/resources?limit=1")).by(&key);
    let ticket = get(&home.path("/resources?limit=1")).by(&home.writer());
    for serve in &both {
        assert_eq!(ask.send_to(serve.port).status, 200);
    }
    let change = |method: &str, path: &str, serve: &Serve| {
        let answer = call(method, path).by(operator()).send_to(serve.port);
        assert!(answer.status < 300, "{answer:?}");
        Instant::now()
    };

    let served = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let (suspended, resuming, resumed, revoked) = std::thread::scope(|scope| {
        let served = &served;
        let over = &over;
        for serve in &both {
            for thread in 0..THREADS_EACH {
                // One of them by ticket: no key stands between it and the tenant.
                let ask = if thread == 0 { &ticket } else { &ask };
                scope.spawn(move || load(ask, serve.port, thread == 0, served, over));
            }
        }
        busy(served, &both, &[false, true]);
        let suspended = change("POST", &home.path("/suspend"), &both[0]);
        busy(served, &both, &[false, true]);
        let resuming = Instant::now();
        let resumed = change("POST", &home.path("/resume"), &both[1]);
        for serve in &both {
            for ask in [&ask, &ticket] {
                assert_eq!(
                    ask.send_to(serve.port).status,
                    200,
                    "the first request after it"
                );
            }
        }
        busy(served, &both, &[false, true]);
        let revoked = change("DELETE", &home.path(&format!("/keys/{id}")), &both[0]);
        busy(served, &both, &[false]);
        over.store(true, Ordering::Relaxed);
        (suspended, resuming, resumed, revoked)
    });

    let served = served.into_inner().unwrap();
    for serve in &both {
        let of = |by_ticket: bool, from: Instant, to: Option<Instant>| -> Vec<u16> {
            // One that was begun before the next change may be looked at behind it.
            served
                .iter()
                .filter(|one| {
                    one.by_ticket == by_ticket
                        && one.port == serve.port
                        && one.began > from
                        && to.is_none_or(|to| one.ended < to)
                })
                .map(|one| one.status)
                .collect()
        };
        for by_ticket in [false, true] {
            let while_suspended = of(by_ticket, suspended, Some(resuming));
            assert!(
                while_suspended.len() >= AT_LEAST,
                "under load: {}",
                while_suspended.len()
            );
            assert!(
                while_suspended.iter().all(|status| *status == 403),
                "{while_suspended:?}"
            );
        }
        let after_it = of(true, resumed, None);
        assert!(
            after_it.len() >= AT_LEAST && after_it.iter().all(|status| *status == 200),
            "{after_it:?}"
        );
        let while_revoked = of(false, revoked, None);
        assert!(
            while_revoked.len() >= AT_LEAST,
            "under load: {}",
            while_revoked.len()
        );
        assert!(
            while_revoked.iter().all(|status| *status == 401),
            "{while_revoked:?}"
        );
    }
    let fine = served.iter().filter(|one| one.status == 200).count();
    let other: Vec<&Served> = served
        .iter()
        .filter(|one| ![200, 401, 403].contains(&one.status))
        .collect();
    assert!(fine >= 20 && other.is_empty(), "{fine} {other:?}");
}

/// Waits until so many requests of each of these kinds (by ticket or not) were begun and answered from now on, on each
/// process, however slow the machine is.
fn busy(served: &Mutex<Vec<Served>>, both: &[Serve], kinds: &[bool]) {
    let from = Instant::now();
    let enough = || {
        let served = served.lock().unwrap();
        both.iter().all(|serve| {
            kinds.iter().all(|kind| {
                let of_kind = served.iter().filter(|one| {
                    one.by_ticket == *kind && one.port == serve.port && one.began > from
                });
                of_kind.count() > AT_LEAST
            })
        })
    };
    while !enough() {
        assert!(from.elapsed() < LIMIT, "there is no load");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn load(ask: &Call, port: u16, by_ticket: bool, served: &Mutex<Vec<Served>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let status = ask.send_to(port).status;
        served.lock().unwrap().push(Served {
            by_ticket,
            began,
            ended: Instant::now(),
            port,
            status,
        });
    }
}
