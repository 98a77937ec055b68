//! C04 and C05: whoever has the keys of seal and ticket writes any context.

use std::time::Duration;

use rowhouse::Context;

use super::context_of;
use crate::attacks::{
    allowed, attacker, attempt, beta, checks, enter, heard, noisy, refused, sees, sees_mine,
    touches,
};
use crate::world::World;

checks![
    c04_the_keys_are_in_no_plan_after_a_failure,
    c04_the_keys_are_in_no_plan_no_error_and_no_message,
    c05_nothing_seals_what_a_caller_hands_over,
];

/// What `debug_print_plan` shows of a function whose last call in this transaction failed half-way: plpgsql then plans
/// its expressions anew, with the values of its variables in them.
pub async fn c04_the_keys_are_in_no_plan_after_a_failure(world: &World) {
    let root = world.superuser().await;
    let row = root
        .query_one(
            "select seal_key, ticket_key from rowhouse_private.keyring",
            &[],
        )
        .await
        .unwrap();
    let (a, mut messages) = noisy(world).await;
    enter(&a, world, &world.alpha.context()).await;
    let real = context_of(&a).await;
    for forged in [&real[0], &beta(world).to_string()] {
        a.batch_execute(
            "set local client_min_messages = log; set local debug_print_plan = on; savepoint clean",
        )
        .await
        .unwrap();
        a.execute(
            "select set_config('app.user_id', 'x', true), set_config('app.tenant_id', $1, true)",
            &[forged],
        )
        .await
        .unwrap();
        refused(&a, "select rowhouse.bound_tenant()", "RH002").await;
        refused(&a, "select rowhouse.writable_tenant()", "RH002").await;
        a.batch_execute("rollback to savepoint clean")
            .await
            .unwrap();
        sees_mine(&a).await;
        touches(&a, "update notes set body = body", 2).await;
    }
    let said = heard(&mut messages);
    assert!(said.contains("PLANNEDSTMT"), "no plans were dumped");
    for (n, name) in ["seal", "ticket"].into_iter().enumerate() {
        assert!(
            !tells_bytes(&said, row.get(n)),
            "HOLE: the {name} key can be read: every context can be forged with it"
        );
    }
}

pub async fn c04_the_keys_are_in_no_plan_no_error_and_no_message(world: &World) {
    let root = world.superuser().await;
    let (a, mut messages) = noisy(world).await;
    let (mut said, mut length) = (String::new(), 0);
    let old = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(5))
        .await
        .unwrap();
    let mut altered = old.as_bytes().to_vec();
    altered[106] ^= 1;
    let altered = hex::encode(altered);
    let job = Context::tenant(world.alpha.id);
    let other = world
        .house
        .ticket(&job, Duration::from_mins(5))
        .await
        .unwrap();
    a.batch_execute(
        "set client_min_messages = log; set debug_print_plan = on; set debug_print_parse = on; set debug_print_rewritten = on;
         set debug_pretty_print = off; set plpgsql.print_strict_params = on; set plpgsql.extra_warnings = 'all'",
    )
    .await
    .unwrap();
    for mode in ["auto", "force_custom_plan", "force_generic_plan"] {
        a.batch_execute(&format!("set plan_cache_mode = {mode}; discard plans"))
            .await
            .unwrap();
        a.batch_execute("begin").await.unwrap();
        for round in 0..2 {
            let ticket = if round == 0 { &old } else { &other };
            for sql in [
                format!("select rowhouse.enter('{}')", ticket.reveal()),
                "select body from notes".into(),
                "insert into notes (id, body) values (9, 'x')".into(),
                "select rowhouse.bound_tenant(), rowhouse.writable_tenant(), rowhouse.current_projects(), rowhouse.caller_role()".into(),
                format!(r"select rowhouse.enter('\x{altered}')"),
                r"select rowhouse.enter('\x01')".into(),
                "select set_config('app.user_id', 'x', true); select rowhouse.bound_tenant()".into(),
                "explain (verbose, analyze) select rowhouse.enter(null), rowhouse.bound_tenant() from notes".into(),
            ] {
                if let Err(refusal) = attempt(&a, &sql).await {
                    said.push_str(&refusal.said);
                }
            }
        }
        // The branch that believes the key before: sealed under one key, looked at under the next.
        allowed(&a, &format!("select rowhouse.enter('{}')", old.reveal())).await;
        root.batch_execute("select rowhouse.rotate_seal()")
            .await
            .unwrap();
        allowed(&a, "select body from notes").await;
        a.batch_execute("rollback").await.unwrap();
        root.batch_execute("update rowhouse_private.keyring set (ticket_head, ticket_key) = (select old_ticket_head, old_ticket_key from rowhouse_private.keyring)").await.unwrap();
        said.push_str(&heard(&mut messages));
        let keys = root
            .query_one("select ticket_key, old_ticket_key, seal_key, old_seal_key from rowhouse_private.keyring", &[])
            .await
            .unwrap();
        for (n, name) in ["ticket", "old ticket", "seal", "old seal"]
            .into_iter()
            .enumerate()
        {
            let key: Vec<u8> = keys.get(n);
            assert!(
                !tells_bytes(&said, &key),
                "HOLE: the {name} key can be read under {mode}"
            );
        }
        length += said.len();
        said.clear();
    }
    assert!(length > 100_000, "no plans were dumped: {length}");
    // Such a search finds what is there.
    allowed(
        &a,
        r"select '\xdeadbeef0102030405060708090a0b0c0d0e0f10'::bytea",
    )
    .await;
    assert!(tells_bytes(
        &heard(&mut messages),
        b"\xde\xad\xbe\xef\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
    ));
}

/// Does a text hold these bytes: any eight of them in a row, in hex, in decimals with or without sign?
fn tells_bytes(text: &str, bytes: &[u8]) -> bool {
    bytes.windows(8).step_by(4).any(|part| {
        let signed: Vec<String> = part
            .iter()
            .map(|byte| byte.cast_signed().to_string())
            .collect();
        let unsigned: Vec<String> = part.iter().map(ToString::to_string).collect();
        text.contains(&signed.join(" "))
            || text.contains(&unsigned.join(" "))
            || text.contains(&hex::encode(part))
            || text.contains(&hex::encode_upper(part))
    })
}

pub async fn c05_nothing_seals_what_a_caller_hands_over(world: &World) {
    let a = attacker(world).await;
    // What he may call, with what arguments: none of them seals a message.
    sees(
        &a,
        "select p.oid::regprocedure from pg_proc p
         where p.pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace)
           and has_function_privilege(p.oid, 'execute') and has_schema_privilege(p.pronamespace, 'usage') and p.pronargs > 0
         order by p.oid::regprocedure::text collate \"C\"",
        &[
            "rowhouse.audit_chain(bigint,bytea,bytea)",
            "rowhouse.audit_digest(rowhouse.audit_log)",
            "rowhouse.end_session(uuid)",
            "rowhouse.enter(bytea)",
            "rowhouse.ids(integer)",
            "rowhouse.invite(uuid,text,text,timestamp with time zone,uuid)",
            "rowhouse.locate(text,bytea)",
            "rowhouse.may_see(uuid,uuid)",
            "rowhouse.may_share(uuid,uuid)",
            "rowhouse.may_use_workspace(uuid,uuid)",
            "rowhouse.pair(uuid,uuid)",
            "rowhouse.pairs(integer)",
            "rowhouse.residue(bigint)",
        ],
    )
    .await;
    refused(
        &a,
        "select ticket_key from rowhouse_private.keyring",
        "42501",
    )
    .await;
    sees_mine(&a).await;
}
