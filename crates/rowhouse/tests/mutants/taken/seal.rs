//! What opens a context and keeps it: the seal, `enter`, what is left on a connection.

use super::Mutation;

pub const SEAL: &[Mutation] = &[
    (
        "the setting is believed",
        "create or replace function rowhouse.bound_tenant() returns uuid language sql stable parallel safe security definer return current_setting('app.tenant_id', true)::uuid",
        "c01_a_forged_setting_is_refused",
    ),
    (
        "every seal fits",
        "select pg_temp.edit('rowhouse.bound_tenant', 'rowhouse_private.second_look()', 'pg_catalog.current_setting(''app.tenant_id'', true)')",
        "c01_a_setting_forged_inside_the_statement_is_refused",
    ),
    (
        "every seal fits: parts of two contexts",
        "select pg_temp.edit('rowhouse.bound_tenant', 'rowhouse_private.second_look()', 'pg_catalog.current_setting(''app.tenant_id'', true)')",
        "c03_parts_of_two_contexts_do_not_fit_together",
    ),
    (
        "the seal outlives its transaction",
        "select pg_temp.edit_view('rowhouse_private.context', 'transaction_timestamp()', '''epoch''::timestamptz'), pg_temp.edit('rowhouse.enter', 'pg_catalog.transaction_timestamp()', '''epoch''::pg_catalog.timestamptz')",
        "c02_an_old_seal_is_refused_in_the_next_transaction",
    ),
    (
        "the seal leaves the user out",
        "select pg_temp.edit_view('rowhouse_private.context', 'current_setting(''app.user_id''::text, true)', '''''::text'), pg_temp.edit('rowhouse.enter', 'pg_catalog.set_config(''app.user_id'', l.user_text, true)', 'pg_catalog.repeat(pg_catalog.set_config(''app.user_id'', l.user_text, true), 0)')",
        "c01_a_forged_context_widens_nothing",
    ),
    (
        "the seal leaves the context out",
        "select pg_temp.edit_view('rowhouse_private.context', 'current_setting(''app.context''::text, true)', '''''::text'), pg_temp.edit('rowhouse.enter', 'pg_catalog.set_config(''app.context'',', 'pg_catalog.repeat(pg_catalog.set_config(''app.context'',', 'l.packed else l.packed_read end, true)', 'l.packed else l.packed_read end, true), 0)')",
        "c01_a_forged_context_widens_nothing",
    ),
    (
        "the seal has no borders",
        "select pg_temp.edit_view('rowhouse_private.context', '''/''::text', '''''::text'), pg_temp.edit('rowhouse.enter', 'operator(pg_catalog.||) ''/''', '')",
        "c03_fields_moved_over_their_borders_are_refused",
    ),
    (
        "the key before is not looked at",
        "create or replace view rowhouse_private.old_context as select false as fits, ''::text as tenant",
        "a_context_outlives_a_rotation_inside_its_transaction",
    ),
    (
        "the key stands in a plan",
        "create function rowhouse_private.key() returns bytea language plpgsql immutable security definer as 'begin return (select seal_key from rowhouse_private.keyring); end'; alter function rowhouse_private.key() owner to rowhouse_definer; grant execute on function rowhouse_private.key() to public; select pg_temp.edit('rowhouse.bound_tenant', 'begin', 'begin perform pg_catalog.textsend(pg_catalog.current_setting(''app.seal'', true)) operator(pg_catalog.=) rowhouse_private.key();')",
        "c04_the_keys_are_in_no_plan_no_error_and_no_message",
    ),
    (
        "the key is a variable",
        "create or replace function rowhouse.bound_tenant() returns uuid language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$ declare key bytea; begin select k.seal_key into key from rowhouse_private.keyring k; return case when current_setting('app.seal', true) = encode(sha256(key || timestamptz_send(transaction_timestamp()) || textsend(current_setting('app.tenant_id', true) || current_setting('app.user_id', true) || '/' || current_setting('app.context', true)) || key), 'hex') then current_setting('app.tenant_id', true) else rowhouse_private.second_look() end::uuid; end $$",
        "c04_the_keys_are_in_no_plan_after_a_failure",
    ),
    (
        "a reader writes",
        "select pg_temp.edit('rowhouse.writable_tenant', 'if starts_with(current_setting(''app.context'', true), ''w'') then', 'if true then')",
        "a10_a_reader_changes_nothing",
    ),
    (
        "the tenant is folded into plans",
        "alter function rowhouse.bound_tenant() immutable",
        "c18_a_generic_plan_answers_the_tenant_that_executes_it",
    ),
    (
        "no plan is parallel",
        "alter function rowhouse.bound_tenant() parallel unsafe",
        "policy_functions_are_stable_and_parallel",
    ),
    (
        "an operator is looked up on the caller's path",
        "select pg_temp.edit('rowhouse.enter', 'operator(pg_catalog.=)', '=')",
        "b05_names_and_operators_of_the_callers_are_not_used",
    ),
    (
        "an operator is looked up on the caller's path: the lint",
        "select pg_temp.edit('rowhouse.enter', 'operator(pg_catalog.>)', '>')",
        "functions_find_names_on_their_own_path",
    ),
    (
        "a function has no path of its own",
        "alter function rowhouse_private.enter_closely reset search_path; alter function rowhouse_private.second_look reset search_path",
        "b05_names_and_operators_of_the_callers_are_not_used",
    ),
    (
        "a function has no path of its own: the catalogue",
        "alter function rowhouse.locate reset search_path",
        "functions_find_names_on_their_own_path",
    ),
];

pub const ENTER: &[Mutation] = &[
    (
        "any tag is good",
        "select pg_temp.edit('rowhouse.enter', 'pg_catalog.sha256(pg_catalog.substring(ticket, 76)) operator(pg_catalog.=)', 'pg_catalog.sha256('''') operator(pg_catalog.<>)')",
        "a_ticket_with_any_byte_flipped_is_refused",
    ),
    (
        "any tag is good, looked at closely",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'elsif not ours then', 'elsif false then')",
        "a_ticket_with_any_byte_flipped_is_refused",
    ),
    (
        "the tag's length is not checked",
        "select pg_temp.edit('rowhouse.enter', 'pg_catalog.substring(ticket, 76)', 'pg_catalog.substring(ticket, 76, 32)')",
        "a_ticket_with_bytes_more_is_refused",
    ),
    (
        "the tag's length is not checked closely",
        "select pg_temp.edit('rowhouse_private.is_ours', ', 76)', ', 76, 32)')",
        "a_ticket_with_bytes_more_is_refused",
    ),
    (
        "tickets do not expire",
        "select pg_temp.edit('rowhouse.enter', 'pg_catalog.substring(ticket, 68, 8) operator(pg_catalog.>) pg_catalog.timestamptz_send(pg_catalog.clock_timestamp())', 'true')",
        "an_expired_ticket_is_refused",
    ),
    (
        "tickets do not expire, looked at closely",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'if substring(ticket, 68, 8) <= timestamptz_send(clock_timestamp()) then', 'if false then')",
        "an_expired_ticket_is_refused",
    ),
    (
        "keys do not expire",
        "select pg_temp.edit('rowhouse.enter', 'and l.expires_at operator(pg_catalog.>) pg_catalog.clock_timestamp()', '')",
        "an_expired_key_is_refused",
    ),
    (
        "keys do not expire, looked at closely",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'live.expires_at <= clock_timestamp()', 'false')",
        "an_expired_key_is_refused",
    ),
    (
        "the state is not looked at",
        "select pg_temp.edit('rowhouse.enter', 'and l.state operator(pg_catalog.=) ''active''', '')",
        "a_removed_member_is_refused_on_every_node",
    ),
    (
        "the tenant's state is not looked at",
        "select pg_temp.edit('rowhouse.enter', 'and t.state operator(pg_catalog.=) ''active''', '')",
        "a_suspended_tenant_is_refused_on_every_node",
    ),
    (
        "the tenant's state is not looked at closely",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'elsif tenant_state = ''RH004'' and live.state <> ''system'' then', 'elsif false then')",
        "a_suspended_tenant_is_refused_on_every_node",
    ),
    (
        "the state is not looked at closely",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'if live.state is null', 'live.state := ''active''; if live.state is null')",
        "a_removed_member_is_refused_on_every_node",
    ),
    (
        "the application enters as the platform",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'not pg_has_role(session_user, ''rowhouse_platform'', ''member'')', 'false')",
        "c07_a_platforms_ticket_is_refused_to_the_application",
    ),
    (
        "any project is the caller's",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'if project <> all (live.projects) then', 'if false then')",
        "a_project_that_is_not_the_callers_is_refused",
    ),
    (
        "the ticket key before is not looked at",
        "select pg_temp.edit('rowhouse_private.is_ours', 'old_ticket_key', 'ticket_key')",
        "a_ticket_outlives_one_rotation_of_the_key_and_not_two",
    ),
    (
        "a rotation changes no key",
        "select pg_temp.edit('rowhouse.rotate_seal', 'ticket_key = excluded.ticket_key', 'ticket_key = k.ticket_key')",
        "a_ticket_outlives_one_rotation_of_the_key_and_not_two",
    ),
];

pub const RESIDUE: &[Mutation] = &[
    (
        "what is left is not looked at",
        "create or replace function rowhouse.residue(ours bigint default 0) returns text[] language sql volatile return '{}'::text[]",
        "c15_what_is_held_does_not_meet_the_next_borrower",
    ),
    (
        "the floor is gone, in a crowd",
        "drop policy tenant_floor on notes",
        "requests_cancelled_half_way_leave_nothing_to_the_others",
    ),
    (
        "prepared statements may stay",
        "select pg_temp.edit('rowhouse.residue', 'p.by_sql operator(pg_catalog.>) 0', 'false')",
        "c15_what_is_held_does_not_meet_the_next_borrower",
    ),
    (
        "prepared statements may go",
        "select pg_temp.edit('rowhouse.residue', 'p.by_driver operator(pg_catalog.<) ours', 'false')",
        "c24_a_thrown_away_statement_is_missed_among_others",
    ),
    (
        "cursors may stay",
        "select pg_temp.edit('rowhouse.residue', 'c.is_holdable', 'false')",
        "c15_what_is_held_does_not_meet_the_next_borrower",
    ),
    (
        "channels may stay",
        "select pg_temp.edit('rowhouse.residue', 'select from pg_catalog.pg_listening_channels()', 'select from pg_catalog.pg_listening_channels() where false')",
        "c15_what_is_held_does_not_meet_the_next_borrower",
    ),
    (
        "a role may stay",
        "select pg_temp.edit('rowhouse.residue', 'current_user operator(pg_catalog.<>) session_user', 'false', 'pg_catalog.current_setting(''role'') operator(pg_catalog.<>) ''none''', 'false')",
        "c14_what_is_set_does_not_meet_the_next_borrower",
    ),
];
