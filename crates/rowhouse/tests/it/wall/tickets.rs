//! What a ticket is good for: whole, in its time, and under a key that is known.

use std::time::Duration;

use tokio_postgres::Client;

use super::{another, matrix, ticket};
use crate::attacks::{MINE, allowed, checks, enter, refused, sees};
use crate::world::World;

checks![
    an_expired_ticket_is_refused,
    a_ticket_with_any_byte_flipped_is_refused,
    a_ticket_that_is_cut_short_is_refused,
    a_ticket_with_bytes_more_is_refused,
    a_ticket_outlives_one_rotation_of_the_key_and_not_two,
    a_context_outlives_a_rotation_inside_its_transaction,
    a_running_house_survives_a_rotation_under_load,
];

async fn try_bytes(client: &Client, bytes: &[u8], codes: &str) {
    refused(
        client,
        &format!(r"select rowhouse.enter('\x{}')", hex::encode(bytes)),
        codes,
    )
    .await;
}

pub async fn an_expired_ticket_is_refused(world: &World) {
    let a = world.app().await;
    let short = ticket(world, &world.alpha.context(), 0).await;
    // The process knows the database's time only to within a round trip or two.
    tokio::time::sleep(Duration::from_millis(300)).await;
    try_bytes(&a, short.as_bytes(), "RH003").await;
    let soon = ticket(world, &world.alpha.context(), 1).await;
    allowed(&a, &format!("select rowhouse.enter('{}')", soon.reveal())).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    try_bytes(&a, soon.as_bytes(), "RH003").await;
    // In the roundabout way too: with a project, and under the key before.
    let m = matrix(world).await;
    let project = ticket(world, &world.alpha.context().in_project(m.apollo.into()), 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    try_bytes(&a, project.as_bytes(), "RH003").await;
}

pub async fn a_ticket_with_any_byte_flipped_is_refused(world: &World) {
    let m = matrix(world).await;
    let a = world.app().await;
    for context in [
        world.alpha.context(),
        world.alpha.context().in_project(m.apollo.into()),
        world.alpha.context().read_only(),
    ] {
        let good = ticket(world, &context, 600).await;
        for place in 0..good.as_bytes().len() {
            for flip in [0x01, 0x80] {
                let mut bytes = good.as_bytes().to_vec();
                bytes[place] ^= flip;
                try_bytes(&a, &bytes, "RH002").await;
            }
        }
        allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
    }
    // A reader's ticket with a writer's byte, another tenant's id under one's own tag.
    let reader = ticket(world, &world.alpha.context().read_only(), 600).await;
    let mut writer = reader.as_bytes().to_vec();
    writer[66] = b'w';
    try_bytes(&a, &writer, "RH002").await;
    let mut foreign = reader.as_bytes().to_vec();
    foreign[2..18].copy_from_slice(world.beta.id.uuid().as_bytes());
    foreign[18..34].copy_from_slice(world.beta.owner.uuid().as_bytes());
    try_bytes(&a, &foreign, "RH002").await;
}

pub async fn a_ticket_that_is_cut_short_is_refused(world: &World) {
    let a = world.app().await;
    let good = ticket(world, &world.alpha.context(), 600).await;
    for length in (0..good.as_bytes().len()).rev() {
        try_bytes(&a, &good.as_bytes()[..length], "RH002").await;
    }
    allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
}

pub async fn a_ticket_with_bytes_more_is_refused(world: &World) {
    let a = world.app().await;
    let good = ticket(world, &world.alpha.context(), 600).await;
    for more in [0, 1, 0xff] {
        let mut longer = good.as_bytes().to_vec();
        longer.push(more);
        try_bytes(&a, &longer, "RH002").await;
        let mut shifted = vec![more];
        shifted.extend_from_slice(good.as_bytes());
        try_bytes(&a, &shifted, "RH002").await;
    }
    try_bytes(&a, &good.as_bytes().repeat(2), "RH002").await;
    refused(&a, "select rowhouse.enter(null)", "RH002").await;
    allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
}

pub async fn a_ticket_outlives_one_rotation_of_the_key_and_not_two(world: &World) {
    let m = matrix(world).await;
    let root = world.superuser().await;
    let a = world.app().await;
    let plain = ticket(world, &world.alpha.context(), 600).await;
    let project = ticket(
        world,
        &world.alpha.context().in_project(m.apollo.into()),
        600,
    )
    .await;
    for rotation in 0..3 {
        for ticket in [&plain, &project] {
            if rotation < 2 {
                a.batch_execute("begin").await.unwrap();
                allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
                sees(&a, "select body from notes order by 1", MINE).await;
                a.batch_execute("commit").await.unwrap();
            } else {
                try_bytes(&a, ticket.as_bytes(), "RH002").await;
            }
        }
        root.batch_execute("select rowhouse.rotate_seal()")
            .await
            .unwrap();
    }
    // The number of a key comes round after 255 rotations: the key itself does not.
    root.batch_execute(
        "do $$ begin for n in 1..252 loop perform rowhouse.rotate_seal(); end loop; end $$",
    )
    .await
    .unwrap();
    sees(
        &root,
        "select get_byte(ticket_head, 1) from rowhouse_private.keyring",
        &["1"],
    )
    .await;
    assert_eq!(plain.as_bytes()[1], 1);
    try_bytes(&a, plain.as_bytes(), "RH002").await;
}

pub async fn a_context_outlives_a_rotation_inside_its_transaction(world: &World) {
    let root = world.superuser().await;
    let a = world.app().await;
    enter(&a, world, &world.alpha.context()).await;
    for rotation in 0..2 {
        sees(&a, "select body from notes order by 1", MINE).await;
        sees(&a, "select rowhouse.caller_role()", &["owner"]).await;
        allowed(&a, "update notes set body = body").await;
        if rotation == 0 {
            root.batch_execute("select rowhouse.rotate_seal()")
                .await
                .unwrap();
        }
    }
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    refused(&a, "select body from notes", "RH002").await;
    a.batch_execute("rollback").await.unwrap();
    // On another connection: a context sealed under the key before does not help to forge one.
    let anew = another(world).await;
    let ticket = anew
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    a.batch_execute("begin").await.unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    sees(&a, "select body from notes order by 1", MINE).await;
    allowed(
        &a,
        &format!("set local app.tenant_id = '{}'", world.beta.id.uuid()),
    )
    .await;
    refused(&a, "select body from notes", "RH002").await;
}

pub async fn a_running_house_survives_a_rotation_under_load(world: &World) {
    let root = world.superuser().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let house = world.house.clone();
            let context = if n % 2 == 0 {
                world.alpha.context()
            } else {
                world.beta.context()
            };
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut tx = house.begin(&context).await?;
                    tx.query("select body from notes", &[]).await?;
                    tx.execute("update notes set body = body", &[]).await?;
                    tx.commit().await?;
                    done += 1;
                }
                Ok::<_, rowhouse::Error>(done)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for worker in workers {
        match worker.await.unwrap() {
            Ok(done) => assert!(done > 5, "{done}"),
            Err(error) => panic!("HOLE: a rotation hurt a running process: {error:?}"),
        }
    }
}
