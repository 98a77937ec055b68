//! C01 to C03: the settings are written by hand, replayed, and put together from two contexts.

use std::time::Duration;

use rowhouse::{Context, members};

use super::{context_of, is_not_believed, set_context};
use crate::attacks::{
    Refusal, THEIRS, allowed, attacker, attempt, beta, checks, enter, nothing_changed, refused,
    says_nothing_of_beta, sees, sees_mine, sees_theirs,
};
use crate::world::World;

checks![
    c01_a_forged_setting_is_refused,
    c01_a_setting_forged_inside_the_statement_is_refused,
    c01_a_forged_context_widens_nothing,
    c02_an_old_seal_is_refused_in_the_next_transaction,
    c02_a_removed_member_is_refused_with_the_ticket_he_still_has,
    c03_parts_of_two_contexts_do_not_fit_together,
    c03_fields_moved_over_their_borders_are_refused,
];

pub async fn c01_a_forged_setting_is_refused(world: &World) {
    let theirs = beta(world);
    for forge in [
        format!("set app.tenant_id = '{theirs}'"),
        format!("set local app.tenant_id = '{theirs}'"),
        format!("select set_config('app.tenant_id', '{theirs}', true)"),
        format!("select set_config('app.tenant_id', '{theirs}', false)"),
        format!("do $$ begin perform set_config('app.tenant_id', '{theirs}', true); end $$"),
        format!("set local app.tenant_id = '{}'", theirs.simple()),
    ] {
        let a = attacker(world).await;
        sees_mine(&a).await;
        allowed(&a, &forge).await;
        is_not_believed(&a).await;
    }
    // Without any ticket.
    let a = world.app().await;
    set_context(
        &a,
        &[
            theirs.to_string(),
            String::new(),
            "w;owner;{};{}".into(),
            "00".repeat(32),
        ],
        false,
    )
    .await;
    is_not_believed(&a).await;
    for broken in ["not a uuid", "'", "", "{}"] {
        a.execute("select set_config('app.seal', $1, false)", &[&broken])
            .await
            .unwrap();
        is_not_believed(&a).await;
    }
    nothing_changed(world).await;
}

pub async fn c01_a_setting_forged_inside_the_statement_is_refused(world: &World) {
    let theirs = beta(world);
    for sql in [
        format!(
            "select body from notes where set_config('app.tenant_id', '{theirs}', true) is not null"
        ),
        format!(
            "with forged as materialized (select set_config('app.tenant_id', '{theirs}', true)) select body from forged, notes"
        ),
        format!(
            "select set_config('app.tenant_id', '{theirs}', true), n.body from notes n union all select '', body from notes"
        ),
        format!(
            "select body from notes, (select set_config('app.tenant_id', '{theirs}', true) offset 0) f where body is not null"
        ),
        format!(
            "update notes set body = set_config('app.tenant_id', '{theirs}', true) returning (select string_agg(body, ',') from notes)"
        ),
        format!(
            "insert into notes (id, body) select 50 + n, set_config('app.tenant_id', '{theirs}', true) from generate_series(1, 2) n"
        ),
        format!(
            "insert into notes (tenant_id, id, body) select set_config('app.tenant_id', '{theirs}', true)::uuid, 50, 'x'"
        ),
    ] {
        let a = attacker(world).await;
        match attempt(&a, &sql).await {
            Ok((rows, _)) => says_nothing_of_beta(&rows.join("\n")),
            Err(Refusal { code, said }) => {
                assert!(
                    ["RH002", "42501"].contains(&code.as_str()),
                    "HOLE: {sql}: {said}"
                );
            }
        }
        drop(a.batch_execute("commit").await);
    }
    let root = world.superuser().await;
    sees(
        &root,
        &format!("select body from notes where tenant_id = '{theirs}' order by 1"),
        THEIRS,
    )
    .await;
}

pub async fn c01_a_forged_context_widens_nothing(world: &World) {
    let project = uuid::Uuid::from_u128(7);
    let forged = [
        ("user_id", world.beta.owner.uuid().to_string()),
        ("user_id", String::new()),
        (
            "context",
            format!("w;owner;{{{project}}};{{{}}}", world.alpha.owner.uuid()),
        ),
        ("context", "w".into()),
        ("context", String::new()),
        ("seal", "x".into()),
        ("seal", String::new()),
    ];
    for (setting, value) in forged {
        let a = world.app().await;
        enter(&a, world, &world.alpha.context().read_only()).await;
        sees_mine(&a).await;
        a.execute(
            "select set_config($1, $2, true)",
            &[&format!("app.{setting}"), &value],
        )
        .await
        .unwrap();
        is_not_believed(&a).await;
        for reset in ["reset all", "reset app.seal", "set app.seal to default"] {
            allowed(&a, reset).await;
            refused(&a, "table notes", "RH001 RH002").await;
        }
    }
    // A reader does not become a writer by asking for it.
    let a = world.app().await;
    enter(&a, world, &world.alpha.context().read_only()).await;
    let [.., context, _] = context_of(&a).await;
    a.execute(
        "select set_config('app.context', $1, true)",
        &[&context.replacen('r', "w", 1)],
    )
    .await
    .unwrap();
    is_not_believed(&a).await;
}

pub async fn c02_an_old_seal_is_refused_in_the_next_transaction(world: &World) {
    for local in [true, false] {
        let a = attacker(world).await;
        let old = context_of(&a).await;
        a.batch_execute("commit").await.unwrap();
        a.batch_execute("begin").await.unwrap();
        set_context(&a, &old, local).await;
        is_not_believed(&a).await;
        a.batch_execute("rollback").await.unwrap();
        // Set for the session inside the very transaction that it was good in.
        enter(&a, world, &world.alpha.context()).await;
        let old = context_of(&a).await;
        set_context(&a, &old, false).await;
        sees_mine(&a).await;
        a.batch_execute("commit").await.unwrap();
        is_not_believed(&a).await;
        // And on another connection.
        let other = world.app().await;
        set_context(&other, &old, false).await;
        is_not_believed(&other).await;
        enter(&other, world, &world.alpha.context()).await;
        sees_mine(&other).await;
    }
}

pub async fn c02_a_removed_member_is_refused_with_the_ticket_he_still_has(world: &World) {
    let mut registry = world.house.begin_platform().await.unwrap();
    let member = rowhouse::users::create(&mut registry, "leaver@example.com", "Leaver")
        .await
        .unwrap()
        .id;
    let owner = world.alpha.context();
    members::add(&mut registry, &owner, member, members::Role::Member)
        .await
        .unwrap();
    registry.commit().await.unwrap();
    let ticket = world
        .house
        .ticket(
            &Context::user(world.alpha.id, member),
            Duration::from_mins(10),
        )
        .await
        .unwrap();
    let a = world.app().await;
    a.execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
        .await
        .unwrap();
    let mut system = world.house.begin_system(world.alpha.id).await.unwrap();
    members::remove(&mut system, member).await.unwrap();
    system.commit().await.unwrap();
    refused(
        &a,
        &format!("select rowhouse.enter('{}')", ticket.reveal()),
        "RH005",
    )
    .await;
    enter(&a, world, &Context::tenant(world.alpha.id)).await;
    sees_mine(&a).await;
}

pub async fn c03_parts_of_two_contexts_do_not_fit_together(world: &World) {
    let a = attacker(world).await;
    let of_alpha = context_of(&a).await;
    // The same transaction enters beta, of which the attacker is a member too: so both seals are good here.
    let ticket = world
        .house
        .ticket(&world.beta.context(), Duration::from_mins(1))
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    sees_theirs(&a).await;
    let of_beta = context_of(&a).await;
    for mix in 1..15_usize {
        let mixed: [String; 4] = std::array::from_fn(|n| {
            let from = if mix >> n & 1 == 0 {
                &of_alpha
            } else {
                &of_beta
            };
            from[n].clone()
        });
        set_context(&a, &mixed, true).await;
        is_not_believed(&a).await;
    }
    set_context(&a, &of_alpha, true).await;
    sees_mine(&a).await;
}

pub async fn c03_fields_moved_over_their_borders_are_refused(world: &World) {
    let a = attacker(world).await;
    let [tenant, user, context, seal] = context_of(&a).await;
    let whole = format!("{tenant}{user}/{context}");
    let borders = (0..=whole.len()).flat_map(|first| {
        whole[first..]
            .match_indices('/')
            .map(move |(slash, _)| (first, first + slash))
            .collect::<Vec<_>>()
    });
    let mut tried = 0;
    for (first, slash) in borders {
        if first == tenant.len() {
            continue; // as it was
        }
        let moved = [
            whole[..first].to_owned(),
            whole[first..slash].to_owned(),
            whole[slash + 1..].to_owned(),
            seal.clone(),
        ];
        set_context(&a, &moved, true).await;
        refused(&a, "select body from notes", "RH001 RH002 22P02").await;
        let who = "select rowhouse.current_user_id(), rowhouse.current_tenant()";
        if first == 0 {
            sees(&a, who, &["null|null"]).await; // no tenant at all is none, not a forged one
        } else {
            refused(&a, who, "RH002 22P02").await;
        }
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
    // Between the user and the context.
    for cut in 1..user.len() {
        for (user, context) in [
            (
                format!("{user}{}", &context[..cut]),
                context[cut..].to_owned(),
            ),
            (user[..cut].to_owned(), format!("{}{context}", &user[cut..])),
        ] {
            set_context(&a, &[tenant.clone(), user, context, seal.clone()], true).await;
            refused(&a, "select body from notes", "RH002").await;
        }
    }
    for (n, value) in [&tenant, &user, &context, &seal].into_iter().enumerate() {
        for longer in [
            format!("{value} "),
            format!(" {value}"),
            format!("{value}0"),
        ] {
            let mut changed = [tenant.clone(), user.clone(), context.clone(), seal.clone()];
            changed[n] = longer;
            set_context(&a, &changed, true).await;
            is_not_believed(&a).await;
        }
    }
    set_context(&a, &[tenant, user, context, seal], true).await;
    sees_mine(&a).await;
}
