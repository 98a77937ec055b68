//! Requests that are done once (`idempotency.rs`, `V5__requests.sql`): an answer is for whoever asked, and for that request.

use std::time::Duration;

use rowhouse::idempotency::{self, Answer, Request};
use rowhouse::operators::{self, Expires};
use rowhouse::{Context, Error, TenantTx};
use serde_json::json;

use crate::attacks::{
    allowed, as_login, attacker, beta, checks, enter, is_refused, refused, sees, touches,
};
use crate::world::World;

checks![
    an_answer_is_for_whoever_asked,
    operators_have_answers_of_their_own,
    a_request_is_done_once_and_told_from_every_other,
    of_two_at_once_the_second_waits_for_the_first,
    a_request_is_forgotten_after_a_day_and_no_other_with_it,
];

fn request(key: &str, body: &str) -> Request {
    Request::new(key, "POST", "/things", body.as_bytes()).unwrap()
}

fn answer() -> Answer {
    Answer {
        status: 201,
        body: json!({ "id": 1 }),
    }
}

/// As a service does it: asks whether it was done, does it, keeps the answer.
async fn done(tx: &mut TenantTx, request: &Request) -> Result<Option<Answer>, Error> {
    let before = idempotency::answered(tx, request).await?;
    if before.is_none() {
        idempotency::keep(tx, request, &answer()).await?;
    }
    Ok(before)
}

/// In a transaction of its own.
async fn send(
    world: &World,
    context: &Context,
    request: &Request,
) -> Result<Option<Answer>, Error> {
    let mut tx = world.house.begin(context).await.unwrap();
    let before = done(&mut tx, request).await?;
    tx.commit().await.unwrap();
    Ok(before)
}

async fn an_answer_is_for_whoever_asked(world: &World) {
    let (owner, everybody) = (world.alpha.context(), Context::tenant(world.alpha.id));
    let asked = request("key", "{}");
    for who in [&owner, &world.beta.context()] {
        assert_eq!(send(world, who, &asked).await.unwrap(), None);
    }
    // The same key of another caller in the same tenant is another key.
    match send(world, &everybody, &request("key", "other")).await {
        Ok(None) => {}
        other => panic!("HOLE: another caller's key is taken for one's own: {other:?}"),
    }
    let root = world.superuser().await;
    sees(
        &root,
        "select count(*) from rowhouse.idempotency_keys",
        &["3"],
    )
    .await;

    let own = world.alpha.owner.uuid();
    let client = world.app().await;
    enter(&client, world, &everybody).await;
    let all = "select count(*) from rowhouse.idempotency_keys";
    sees(&client, all, &["1"]).await;
    let of_owner = format!("principal_id = '{own}'");
    sees(&client, &format!("{all} where {of_owner}"), &["0"]).await;
    for change in [
        "update rowhouse.idempotency_keys set answer = '{}'",
        "delete from rowhouse.idempotency_keys",
    ] {
        touches(&client, &format!("{change} where {of_owner}"), 0).await;
    }
    // Nor is one put under somebody else's name, for him to be answered by.
    for (tenant, principal) in [
        (world.alpha.id.uuid(), own),
        (beta(world), world.beta.owner.uuid()),
    ] {
        let forged = format!(
            "insert into rowhouse.idempotency_keys (tenant_id, principal_id, key, request)
             values ('{tenant}', '{principal}', 'forged', sha256('x'))"
        );
        refused(&client, &forged, "42501").await;
    }
    // The control: one's own is there, and stays.
    touches(
        &client,
        "update rowhouse.idempotency_keys set answer = answer",
        1,
    )
    .await;
    client.batch_execute("commit").await.unwrap();
    for who in [&owner, &world.beta.context()] {
        assert_eq!(send(world, who, &asked).await.unwrap(), Some(answer()));
    }
}

async fn operators_have_answers_of_their_own(world: &World) {
    let mut tx = world.house.begin_platform().await.unwrap();
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let (_, token) = operators::issue(&mut tx, name, Expires::default())
            .await
            .unwrap();
        ids.push(
            operators::verify(&mut tx, token.reveal())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    tx.commit().await.unwrap();
    let asked = request("key", "{}");
    for (operator, before) in [(&ids[0], None), (&ids[0], Some(answer())), (&ids[1], None)] {
        let mut tx = world
            .house
            .begin_platform_as(operator.clone())
            .await
            .unwrap();
        let found = idempotency::answered(&mut tx, &asked).await.unwrap();
        if found.is_none() {
            idempotency::keep(&mut tx, &asked, &answer()).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(found, before, "HOLE: an operator is answered as another");
    }
    // They are no tenant's, and the tenants' are none of theirs.
    let client = attacker(world).await;
    refused(&client, "select from rowhouse.operator_requests", "42501").await;
    refused(&client, "delete from rowhouse.operator_requests", "42501").await;
    let platform = as_login(world, "test_platform").await;
    refused(&platform, "select from rowhouse.idempotency_keys", "42501").await;
    refused(&platform, "delete from rowhouse.idempotency_keys", "42501").await;
    sees(
        &platform,
        "select count(*) from rowhouse.operator_requests",
        &["2"],
    )
    .await;
}

async fn a_request_is_done_once_and_told_from_every_other(world: &World) {
    let owner = world.alpha.context();
    let asked = request("key", "{}");
    // One that failed leaves nothing.
    let mut tx = world.house.begin(&owner).await.unwrap();
    assert_eq!(done(&mut tx, &asked).await.unwrap(), None);
    tx.rollback().await;
    assert_eq!(
        send(world, &owner, &asked).await.unwrap(),
        None,
        "HOLE: a failed request was kept"
    );
    assert_eq!(send(world, &owner, &asked).await.unwrap(), Some(answer()));
    for other in [
        request("key", "{} "),
        Request::new("key", "PUT", "/things", b"{}").unwrap(),
        Request::new("key", "POST", "/thing", b"s{}").unwrap(),
    ] {
        is_refused(send(world, &owner, &other).await, "idempotency-key-reused");
    }
    is_refused(
        send(world, &owner.clone().read_only(), &request("two", "")).await,
        "read-only",
    );
    for key in ["", "a b", "\u{e9}", "\u{7f}", &"x".repeat(256)] {
        is_refused(Request::new(key, "POST", "/", b""), "invalid");
    }
}

async fn of_two_at_once_the_second_waits_for_the_first(world: &World) {
    let owner = world.alpha.context();
    for (commits, expected) in [(true, Some(answer())), (false, None)] {
        let asked = request(&format!("key-{commits}"), "{}");
        let mut first = world.house.begin(&owner).await.unwrap();
        assert_eq!(done(&mut first, &asked).await.unwrap(), None);
        let (house, context) = (world.house.clone(), owner.clone());
        let second = tokio::spawn(async move {
            let mut tx = house.begin(&context).await.unwrap();
            let before = done(&mut tx, &asked).await;
            tx.commit().await.unwrap();
            before
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished(), "HOLE: the second does not wait");
        if commits {
            first.commit().await.unwrap();
        } else {
            first.rollback().await;
        }
        assert_eq!(
            second.await.unwrap().unwrap(),
            expected,
            "HOLE: done twice, or not at all"
        );
    }
}

async fn a_request_is_forgotten_after_a_day_and_no_other_with_it(world: &World) {
    let (owner, everybody) = (world.alpha.context(), Context::tenant(world.alpha.id));
    let (old, young) = (request("old", "{}"), request("young", "{}"));
    for who in [&owner, &everybody] {
        send(world, who, &old).await.unwrap();
        send(world, who, &young).await.unwrap();
    }
    let root = world.superuser().await;
    allowed(
        &root,
        "update rowhouse.idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'",
    )
    .await;
    assert_eq!(send(world, &owner, &young).await.unwrap(), Some(answer()));
    let keys = "select key from rowhouse.idempotency_keys where principal_id";
    let (own, others) = (world.alpha.owner.uuid(), world.alpha.id.uuid());
    sees(&root, &format!("{keys} = '{own}' order by 1"), &["young"]).await;
    sees(
        &root,
        &format!("{keys} = '{others}' order by 1"),
        &["old", "young"],
    )
    .await;
    assert_eq!(send(world, &owner, &old).await.unwrap(), None);
    // A caller does not make his own older or younger.
    let client = attacker(world).await;
    let ageing = "update rowhouse.idempotency_keys set created_at = now()";
    refused(&client, ageing, "42501").await;
}
