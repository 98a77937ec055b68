//! C: the context is forged, replayed, kept, or met by the next borrower of a connection.

use std::time::Duration;

use rowhouse::{Context, Owner, members, migrate};
use tokio_postgres::Client;

use super::{
    MINE, Refusal, THEIRS, allowed, alpha, as_login, attacker, attempt, beta,
    cannot_leave_its_database, checks, enter, heard, is_refused, login, lone, noisy, notes_through,
    nothing_changed, refused, sees, sees_mine, sees_theirs, start, touches, weak,
};
use crate::world::{World, cluster};

checks![
    c01_a_forged_setting_is_refused,
    c01_a_setting_forged_inside_the_statement_is_refused,
    c01_a_forged_context_widens_nothing,
    c02_an_old_seal_is_refused_in_the_next_transaction,
    c02_a_removed_member_is_refused_with_the_ticket_he_still_has,
    c03_parts_of_two_contexts_do_not_fit_together,
    c03_fields_moved_over_their_borders_are_refused,
    c04_the_keys_are_in_no_plan_after_a_failure,
    c04_the_keys_are_in_no_plan_no_error_and_no_message,
    c05_nothing_seals_what_a_caller_hands_over,
    c07_a_second_ticket_replaces_the_first_wholly,
    c07_a_refused_ticket_leaves_the_context_as_it_was,
    c07_a_platforms_ticket_is_refused_to_the_application,
    c08_savepoints_and_exceptions_bring_back_nothing_foreign,
    c09_a_session_setting_does_not_meet_the_next_borrower,
    c12_no_temporary_table_can_be_made,
    c13_nothing_temporary_shadows_ours,
    c14_what_is_set_does_not_meet_the_next_borrower,
    c14_row_security_off_shows_nothing,
    c15_what_is_held_does_not_meet_the_next_borrower,
    c16_a_login_with_stored_settings_is_refused,
    c16_a_stored_setting_that_changes_what_statements_mean_is_refused,
    c16_a_stored_context_binds_nothing,
    c17_parallel_workers_are_bound,
    c18_a_generic_plan_answers_the_tenant_that_executes_it,
    c20_no_transaction_can_be_prepared,
    c21_another_session_cannot_be_ended,
    c22_a_lock_of_the_applications_holds_up_no_migration,
    c23_transactions_in_one_text_stay_in_their_own_tenant,
    c24_a_swapped_prepared_statement_does_not_meet_the_next_borrower,
    c24_a_thrown_away_prepared_statement_does_not_hurt_the_next_borrower,
    c24_a_thrown_away_statement_is_missed_among_others,
];

const SETTINGS: [&str; 4] = ["tenant_id", "user_id", "context", "seal"];

/// The four settings of the transaction.
async fn context_of(client: &Client) -> [String; 4] {
    let mut values = SETTINGS.map(|_| String::new());
    for (value, setting) in values.iter_mut().zip(SETTINGS) {
        *value = allowed(client, &format!("select current_setting('app.{setting}')"))
            .await
            .remove(0);
    }
    values
}

/// Sets all four, for the transaction or for the session.
async fn set_context(client: &Client, values: &[String; 4], local: bool) {
    for (value, setting) in values.iter().zip(SETTINGS) {
        client
            .execute(
                "select set_config($1, $2, $3)",
                &[&format!("app.{setting}"), value, &local],
            )
            .await
            .unwrap();
    }
}

/// Every way to ask something of the wall fails with RH002.
async fn is_not_believed(a: &Client) {
    for sql in [
        "select body from public.notes",
        "select title from rowhouse.resources",
        "table rowhouse.tenants",
        "table rowhouse.teams",
        "update public.notes set body = 'x'",
        "delete from public.notes",
        "select rowhouse.current_tenant()",
        "select rowhouse.current_user_id()",
        "select rowhouse.current_projects()",
        "select rowhouse.caller_principals()",
        "select rowhouse.caller_role()",
        "select rowhouse.bound_tenant()",
        "select rowhouse.writable_tenant()",
    ] {
        refused(a, sql, "RH002").await;
    }
    // The default of tenant_id may already stumble over what is no UUID.
    refused(
        a,
        "insert into public.notes (id, body) values (9, 'x')",
        "RH002 22P02",
    )
    .await;
}

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
            Ok((rows, _)) => super::says_nothing_of_beta(&rows.join("\n")),
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
    let mut said = String::new();
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
    }
    // Such a search finds what is there.
    allowed(
        &a,
        r"select '\xdeadbeef0102030405060708090a0b0c0d0e0f10'::bytea",
    )
    .await;
    said.push_str(&heard(&mut messages));
    assert!(said.len() > 100_000, "no plans were dumped: {}", said.len());
    assert!(tells_bytes(
        &said,
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

pub async fn c07_a_second_ticket_replaces_the_first_wholly(world: &World) {
    let a = attacker(world).await;
    let whole = "select rowhouse.current_tenant(), rowhouse.current_user_id(), rowhouse.caller_role(), rowhouse.current_principal()";
    let (t, u) = (alpha(world), world.alpha.owner.uuid());
    sees(&a, whole, &[&format!("{t}|{u}|owner|{u}")]).await;
    let ticket = world
        .house
        .ticket(
            &Context::tenant(world.alpha.id).read_only(),
            Duration::from_mins(1),
        )
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    sees(&a, whole, &[&format!("{t}|null|tenant|{t}")]).await;
    refused(&a, "update notes set body = body", "RH006").await;
    let back = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", back.reveal())).await;
    touches(&a, "update notes set body = body", 2).await;
}

pub async fn c07_a_refused_ticket_leaves_the_context_as_it_was(world: &World) {
    let a = attacker(world).await;
    let stranger = Context::user(world.beta.id, world.alpha.owner);
    let ticket = world
        .house
        .ticket(&stranger, Duration::from_mins(1))
        .await
        .unwrap();
    refused(
        &a,
        &format!("select rowhouse.enter('{}')", ticket.reveal()),
        "RH005",
    )
    .await;
    sees_mine(&a).await;
    // Caught inside the statement, too.
    let caught = format!(
        "do $$ begin perform rowhouse.enter('{}'); exception when others then null; end $$; select body from notes order by 1",
        ticket.reveal()
    );
    sees(&a, &caught, MINE).await;
}

pub async fn c07_a_platforms_ticket_is_refused_to_the_application(world: &World) {
    let platform = world.platform().await;
    let system = platform
        .query_one(
            "select rowhouse.service_principal($1, 'system')",
            &[&world.alpha.id],
        )
        .await
        .unwrap()
        .get::<_, uuid::Uuid>(0);
    let context = Context::principal(world.alpha.id, system.into());
    let ticket = world
        .house
        .ticket(&context, Duration::from_mins(1))
        .await
        .unwrap();
    let enter = format!("select rowhouse.enter('{}')", ticket.reveal());
    refused(&attacker(world).await, &enter, "RH005").await;
    allowed(&platform, &enter).await;
}

pub async fn c08_savepoints_and_exceptions_bring_back_nothing_foreign(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    a.batch_execute("savepoint clean").await.unwrap();
    allowed(&a, &format!("set local app.tenant_id = '{theirs}'")).await;
    a.batch_execute("savepoint forged").await.unwrap();
    let ticket = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    sees_mine(&a).await;
    a.batch_execute("rollback to savepoint forged")
        .await
        .unwrap();
    is_not_believed(&a).await;
    a.batch_execute("rollback to savepoint clean")
        .await
        .unwrap();
    sees_mine(&a).await;
    for block in [
        format!(
            "begin perform set_config('app.tenant_id', '{theirs}', true); raise exception 'x'; exception when others then null; end"
        ),
        format!(
            "begin perform set_config('app.tenant_id', '{theirs}', false); perform from notes; exception when others then null; end"
        ),
    ] {
        sees(
            &a,
            &format!("do $$ {block} $$; select body from notes order by 1"),
            MINE,
        )
        .await;
    }
    a.batch_execute("commit").await.unwrap();
    refused(&a, "table notes", "RH001").await;
    nothing_changed(world).await;
}

pub async fn c09_a_session_setting_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    let pid: i32 = tx.one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    // The context of beta, kept for the session: app.* survives COMMIT.
    tx.batch("do $$ declare s text; begin foreach s in array '{tenant_id,user_id,context,seal}'::text[] loop
              perform set_config('app.' || s, current_setting('app.' || s), false); end loop; end $$")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let rows = house
        .query(
            &world.alpha.context(),
            "select pg_backend_pid(), (select count(*) from notes), rowhouse.current_user_id()",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i64>(1), 2, "HOLE");
    assert_eq!(
        rows[0].get::<_, uuid::Uuid>(2),
        world.alpha.owner.uuid(),
        "HOLE"
    );
    assert_eq!(
        rows[0].get::<_, i32>(0),
        pid,
        "it was the same connection: nothing was left on it"
    );
    // What the last borrower set is gone, not only overruled: see c14.
}

pub async fn c12_no_temporary_table_can_be_made(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create temporary table notes (id int)",
        "create table pg_temp.notes (id int)",
        "create temporary sequence s",
        "create temporary view notes as select 1",
        "select 1 as id into temporary notes",
        "create temp table notes as select 1",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn c13_nothing_temporary_shadows_ours(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create function pg_temp.sha256(bytea) returns bytea language sql return $1",
        "create domain pg_temp.uuid as text",
        "create type pg_temp.bytea as (x int)",
        "create operator pg_temp.= (leftarg = uuid, rightarg = uuid, function = uuid_ne)",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
    let house = lone(world).await;
    let rows = house
        .query(
            &world.alpha.context(),
            "select current_setting('search_path')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        rows[0].get::<_, &str>(0),
        "public,pg_temp",
        "HOLE: pg_temp is looked through first"
    );
}

pub async fn c14_what_is_set_does_not_meet_the_next_borrower(world: &World) {
    world
        .superuser()
        .await
        .batch_execute("create schema evil; grant usage on schema evil to public; create table evil.notes (body text); grant all on evil.notes to public; insert into evil.notes values ('evil')")
        .await
        .unwrap();
    let house = lone(world).await;
    let settings = "select name || ' = ' || setting from pg_settings where source not in ('default', 'configuration file', 'command line', 'override', 'environment variable') and name not like 'app.%' order by 1";
    let fresh: Vec<String> = names(&house, world, settings).await;
    for leave in [
        "set search_path = evil",
        "set role rowhouse_enforced",
        "set row_security = off",
        "set default_transaction_read_only = on",
        "set default_transaction_isolation = 'serializable'",
        "set session characteristics as transaction read only",
        "set session authorization default",
        "set plan_cache_mode = force_generic_plan",
        "set datestyle = 'SQL, DMY'",
        "set standard_conforming_strings = off",
        "set timezone = 'Asia/Tokyo'",
        "set statement_timeout = '1ms'",
        "set client_encoding = 'LATIN1'",
        "set app.tenant_id = 'x'",
        "set transform_null_equals = on",
        "select set_config('search_path', 'evil', false), set_config('role', 'rowhouse_enforced', false)",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.query("select body from public.notes", &[])
            .await
            .unwrap();
        tx.batch(leave).await.unwrap();
        drop(tx.commit().await);
        let seen = names(&house, world, "select body from notes order by 1").await;
        assert_eq!(seen, MINE, "HOLE: after {leave}");
        assert_eq!(
            names(&house, world, settings).await,
            fresh,
            "HOLE: after {leave}"
        );
        let who = names(&house, world, "select current_user || '|' || session_user").await;
        assert_eq!(who, ["test_app|test_app"], "HOLE: after {leave}");
    }
    for refused in [
        "set session_replication_role = replica",
        "set session authorization postgres",
        "set role rowhouse_owner",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        is_refused(tx.batch(refused).await, "not-permitted");
    }
    nothing_changed(world).await;
}

async fn names(house: &rowhouse::Rowhouse, world: &World, sql: &str) -> Vec<String> {
    house
        .query(&world.alpha.context(), sql, &[])
        .await
        .unwrap_or_else(|error| panic!("HOLE: the next borrower was hurt: {sql}: {error:?}"))
        .iter()
        .map(|row| row.get(0))
        .collect()
}

pub async fn c14_row_security_off_shows_nothing(world: &World) {
    let a = attacker(world).await;
    allowed(&a, "set local row_security = off").await;
    for sql in ["table notes", "delete from notes", "table rowhouse.tenants"] {
        refused(&a, sql, "42501").await;
    }
    allowed(&a, "set local row_security = on").await;
    sees_mine(&a).await;
}

pub async fn c15_what_is_held_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    for (leave, look) in [
        (
            "declare held cursor with hold for select body from notes",
            "select count(*)::text from pg_cursors where is_holdable",
        ),
        (
            "prepare mine as select body from notes",
            "select count(*)::text from pg_prepared_statements where from_sql",
        ),
        (
            "listen gossip",
            "select count(*)::text from pg_listening_channels()",
        ),
    ] {
        let closed = house.connections_closed();
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.batch(leave).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            notes_through(&house, &world.alpha.context()).await,
            MINE,
            "HOLE: after {leave}"
        );
        let left = names(&house, world, look).await;
        assert_eq!(
            left,
            ["0"],
            "HOLE: the next borrower meets what was left by {leave}"
        );
        assert_eq!(
            house.connections_closed(),
            closed + 1,
            "HOLE: the connection was kept after {leave}"
        );
    }
    // Locks are taken off it, so there is no need to close it.
    let closed = house.connections_closed();
    for lock in [
        "select pg_advisory_lock(1)",
        "select pg_advisory_lock_shared(1, 2)",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.batch(lock).await.unwrap();
        tx.commit().await.unwrap();
        let held = "select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
        assert_eq!(
            names(&house, world, held).await,
            ["0"],
            "HOLE: the next borrower meets what was left by {lock}"
        );
    }
    for _ in 0..3 {
        assert_eq!(notes_through(&house, &world.beta.context()).await, THEIRS);
    }
    assert_eq!(
        house.connections_closed(),
        closed,
        "a clean connection is kept"
    );
}

pub async fn c16_a_login_with_stored_settings_is_refused(world: &World) {
    for (name, sql) in [
        ("tenant", "alter role {login} set app.tenant_id = 'x'"),
        ("path", "alter role {login} set search_path = evil"),
        (
            "path_here",
            "alter role {login} in database {database} set search_path = evil",
        ),
        ("role", "alter role {login} set role = rowhouse_enforced"),
        ("rls", "alter role {login} set row_security = off"),
        (
            "isolation",
            "alter role {login} set default_transaction_isolation = 'serializable'",
        ),
    ] {
        weak(world, name, sql, "settings are stored").await;
    }
}

/// The login may store settings for itself, and they come back after `reset all`: whoever writes dates, texts or
/// comparisons on a later connection would mean something else by them.
pub async fn c16_a_stored_setting_that_changes_what_statements_mean_is_refused(world: &World) {
    for (name, setting) in [
        ("dates", "datestyle = 'SQL, DMY'"),
        ("strings", "standard_conforming_strings = off"),
        ("nulls", "transform_null_equals = on"),
        ("zone", "timezone = 'Asia/Tokyo'"),
        ("timeout", "statement_timeout = '1ms'"),
    ] {
        let login = login(world, name).await;
        drop(start(world, &login).await.unwrap());
        let itself = as_login(world, &login).await;
        allowed(&itself, &format!("alter role {login} set {setting}")).await;
        match start(world, &login).await {
            Ok(_) => panic!(
                "HOLE: a setting that one tenant stored for the login meets the others: {setting}"
            ),
            Err(error) => assert_eq!(error.code(), "weak-login", "{error}"),
        }
    }
}

pub async fn c16_a_stored_context_binds_nothing(world: &World) {
    let login = login(world, "self").await;
    let first = as_login(world, &login).await;
    enter(&first, world, &world.alpha.context()).await;
    let kept = context_of(&first).await;
    first.batch_execute("commit").await.unwrap();
    let root = world.superuser().await;
    for (value, setting) in kept.iter().zip(SETTINGS) {
        let store = format!("alter role {login} set app.{setting} = '{value}'");
        refused(&first, &store, "42501").await;
        allowed(&root, &store).await; // where somebody else does it for him
    }
    let second = as_login(world, &login).await;
    is_not_believed(&second).await;
    enter(&second, world, &world.alpha.context()).await;
    sees_mine(&second).await;
}

pub async fn c17_parallel_workers_are_bound(world: &World) {
    let root = world.superuser().await;
    super::walled(&root, "big").await;
    let (mine, theirs) = (alpha(world), beta(world));
    root.batch_execute(&format!(
        "insert into big select case n % 3 when 0 then '{mine}' else '{theirs}' end::uuid, n, case n % 3 when 0 then 'alpha' else 'beta' end from generate_series(1, 30000) n;
         analyze big"
    ))
    .await
    .unwrap();
    let a = world.app().await;
    let forced = if cluster().major() < 16 {
        "force_parallel_mode"
    } else {
        "debug_parallel_query"
    };
    a.batch_execute(&format!(
        "set {forced} = on; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
         set min_parallel_index_scan_size = 0; set max_parallel_workers_per_gather = 2; set enable_indexscan = off; set enable_bitmapscan = off"
    ))
    .await
    .unwrap();
    enter(&a, world, &world.alpha.context()).await;
    for sql in [
        "select count(*), min(body), max(body) from big",
        // Evaluated in the workers, row by row.
        "select count(*), min(body), max(body) from big where tenant_id = rowhouse.bound_tenant() and rowhouse.current_user_id() is not null",
    ] {
        let plan = allowed(&a, &format!("explain (analyze, costs off) {sql}"))
            .await
            .join("\n");
        assert!(
            plan.contains("Workers Launched: 1") || plan.contains("Workers Launched: 2"),
            "not parallel:\n{plan}"
        );
        sees(&a, sql, &["10000|alpha|alpha"]).await;
    }
    allowed(&a, &format!("set local app.tenant_id = '{theirs}'")).await;
    refused(&a, "select count(*) from big", "RH002").await;
}

pub async fn c18_a_generic_plan_answers_the_tenant_that_executes_it(world: &World) {
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        let a = world.app().await;
        a.batch_execute(&format!("set plan_cache_mode = {mode}"))
            .await
            .unwrap();
        enter(&a, world, &world.alpha.context()).await;
        allowed(&a, "prepare mine as select body from notes order by 1; prepare one (int) as select body from notes where id = $1").await;
        for _ in 0..7 {
            sees(&a, "execute mine", MINE).await;
            sees(&a, "execute one (1)", &["alpha one"]).await;
        }
        a.batch_execute("commit").await.unwrap();
        refused(&a, "execute mine", "RH001").await;
        enter(&a, world, &world.beta.context()).await;
        sees(&a, "execute mine", THEIRS).await;
        sees(&a, "execute one (1)", &["beta one"]).await;
        a.batch_execute("rollback; begin; set local role rowhouse_enforced")
            .await
            .unwrap();
        refused(&a, "execute mine", "RH001").await;
    }
}

pub async fn c20_no_transaction_can_be_prepared(world: &World) {
    let a = attacker(world).await;
    touches(&a, "insert into notes (id, body) values (9, 'x')", 1).await;
    let prepared = a.simple_query("prepare transaction 'mine'").await;
    assert!(prepared.is_err(), "HOLE: a transaction was prepared");
    drop(a.batch_execute("rollback").await);
    refused(&a, "commit prepared 'mine'", "42704").await;
    nothing_changed(world).await;
}

pub async fn c21_another_session_cannot_be_ended(world: &World) {
    let victim = world.app().await;
    let pid = allowed(&victim, "select pg_backend_pid()").await.remove(0);
    let a = attacker(world).await;
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        refused(&a, &format!("select {function}({pid})"), "42501").await;
    }
    cannot_leave_its_database(world).await;
    sees(&victim, "select 1", &["1"]).await;
    sees_mine(&a).await;
}

pub async fn c22_a_lock_of_the_applications_holds_up_no_migration(world: &World) {
    let a = attacker(world).await;
    // Every key that a migration was seen to take.
    allowed(&a, "select pg_advisory_lock(1380931400, n), pg_advisory_lock(1380931400::bigint << 32 | n) from generate_series(0, 9) n").await;
    let mut owner: Owner = world.owner().await;
    let done = tokio::time::timeout(Duration::from_secs(10), migrate::run(&mut owner)).await;
    assert!(
        done.is_ok(),
        "HOLE: a lock of the application's holds up a migration for ever"
    );
    sees_mine(&a).await;
}

/// They share `transaction_timestamp()`, which the seal holds: so a context can be carried on, but only one's own, and
/// no further than to the end of the text.
pub async fn c23_transactions_in_one_text_stay_in_their_own_tenant(world: &World) {
    let a = world.app().await;
    let ticket = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    let keep = "do $$ declare s text; begin foreach s in array '{tenant_id,user_id,context,seal}'::text[] loop
        perform set_config('app.' || s, current_setting('app.' || s), false); end loop; end $$";
    let text = format!(
        "begin; select rowhouse.enter('{}'); {keep}; commit; begin; select body from notes order by 1; commit",
        ticket.reveal()
    );
    match attempt(&a, &text).await {
        Ok((rows, _)) => super::says_nothing_of_beta(&rows.join("\n")),
        Err(refusal) => assert_eq!(refusal.code, "RH002", "HOLE: {refusal:?}"),
    }
    drop(a.batch_execute("rollback").await);
    is_not_believed(&a).await;
    let forged = text.replace(
        "commit; begin;",
        &format!("commit; begin; set app.tenant_id = '{}';", beta(world)),
    );
    let refusal = attempt(&a, &forged)
        .await
        .expect_err("HOLE: a forged context was believed");
    assert_eq!(refusal.code, "RH002", "HOLE: {refusal:?}");
}

pub async fn c24_a_swapped_prepared_statement_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    let statements = tx
        .query("select name from pg_prepared_statements where statement like '%notes%' or statement like '%enter%'", &[])
        .await
        .unwrap();
    assert!(!statements.is_empty(), "there is nothing to swap");
    for row in statements {
        let name: String = row.get(0);
        tx.batch(&format!(
            "deallocate \"{name}\"; prepare \"{name}\" as select 'swapped'::text as body"
        ))
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
    nothing_changed(world).await;
}

pub async fn c24_a_thrown_away_prepared_statement_does_not_hurt_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    tx.batch("deallocate all").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
}

/// The driver prepares statements of its own, to learn of types that it does not know: they must not make up in number
/// for one of ours that is gone.
pub async fn c24_a_thrown_away_statement_is_missed_among_others(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    tx.query("select null::pg_catalog.pg_class", &[])
        .await
        .unwrap();
    let name: String = tx
        .one("select name from pg_prepared_statements where statement like '%public.notes%' and statement not like '%pg_prepared%'", &[])
        .await
        .unwrap()
        .get(0);
    tx.batch(&format!("deallocate \"{name}\"")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
}
