//! The wall is taken down one piece at a time, each in a world of its own, and the check named beside it has to notice.
//!
//! `make mutants`. A check notices by failing with `HOLE`; another failure kills nothing. Before that, every check that
//! is named here has to pass in a whole world. Without `--ignored` nothing is done: `cargo test` has the checks anyway.

#![cfg(test)] // so that clippy sees helpers, too, as tests

#[path = "it/attacks/mod.rs"]
mod attacks;
#[path = "it/catalogue.rs"]
mod catalogue;
#[path = "it/deployments.rs"]
mod deployments;
#[path = "it/mail.rs"]
mod mail;
#[path = "it/people.rs"]
mod people;
#[path = "it/personas.rs"]
mod personas;
#[expect(dead_code, unused_imports, reason = "its other tests are tests only")]
#[path = "it/pool.rs"]
mod pool;
#[path = "it/provisioning.rs"]
mod provisioning;
#[path = "it/requests.rs"]
mod requests;
#[path = "it/rights.rs"]
mod rights;
#[path = "it/trail.rs"]
mod trail;
#[path = "it/wall.rs"]
mod wall;
#[expect(dead_code, reason = "none of them is done to a database of nobody")]
#[path = "it/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt, stream};

use attacks::{Check, PATIENCE};

/// How many worlds at once.
const AT_ONCE: usize = 4;

/// The piece, the SQL that takes it away as superuser, the check that has to notice.
type Mutation = (&'static str, &'static str, &'static str);

/// `edit` replaces pieces of a function's text (`was`, `becomes`, ..), and fails where it does not find one.
const EDIT: &str = "
create function pg_temp.edit(function regproc, variadic pieces text[]) returns void language plpgsql as $$
declare
  definition text := pg_get_functiondef(function);
begin
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(definition, pieces[n]) = 0 then
      raise exception '% does not hold: %', function, pieces[n];
    end if;
    definition := replace(definition, pieces[n], pieces[n + 1]);
  end loop;
  execute definition;
end
$$;
create function pg_temp.edit_policy(relation regclass, policy name, variadic pieces text[]) returns void language plpgsql as $$
declare
  used text;
  checked text;
begin
  select pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) into used, checked
  from pg_policy where polrelid = relation and polname = policy;
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(concat(used, checked), pieces[n]) = 0 then
      raise exception '% does not hold: %, but %', policy, pieces[n], concat(used, checked);
    end if;
    used := replace(used, pieces[n], pieces[n + 1]);
    checked := replace(checked, pieces[n], pieces[n + 1]);
  end loop;
  execute format('alter policy %I on %s %s %s', policy, relation, 'using (' || used || ')', 'with check (' || checked || ')');
end
$$;
create function pg_temp.edit_view(relation regclass, variadic pieces text[]) returns void language plpgsql as $$
declare
  definition text := pg_get_viewdef(relation);
begin
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(definition, pieces[n]) = 0 then
      raise exception '% does not hold: %', relation, pieces[n];
    end if;
    definition := replace(definition, pieces[n], pieces[n + 1]);
  end loop;
  execute format('create or replace view %s as %s', relation, definition);
end
$$;";

const POLICIES: &[Mutation] = &[
    (
        "the floor is gone",
        "drop policy tenant_floor on notes",
        "b12_every_way_to_read_a_table_is_bound",
    ),
    (
        "row security is off",
        "alter table notes disable row level security",
        "a12_without_a_context_nothing_is_seen_or_written",
    ),
    (
        "FORCE is off",
        "alter table notes no force row level security",
        "a01_the_tables_owner_sees_nothing_of_a_tenant",
    ),
    (
        "FORCE is off in ours",
        "alter table rowhouse.teams no force row level security",
        "every_walled_table_enables_and_forces_row_security",
    ),
    (
        "the floor lets every row in",
        "alter policy tenant_floor on notes with check (true)",
        "a11_a_row_of_another_tenant_cannot_be_written",
    ),
    (
        "the floor lets every row be seen",
        "alter policy tenant_floor on notes using (true)",
        "a10_every_command_is_bound",
    ),
    (
        "a floor for SELECT only",
        "drop policy tenant_floor on notes; create policy tenant_floor on notes as restrictive for select using (tenant_id = (select rowhouse.bound_tenant()))",
        "a11_a_row_of_another_tenant_cannot_be_written",
    ),
    (
        "no floor for SELECT",
        "drop policy tenant_floor on notes; create policy tenant_floor on notes as restrictive for insert with check (tenant_id = (select rowhouse.writable_tenant()))",
        "b12_every_way_to_read_a_table_is_bound",
    ),
    (
        "the floor binds the application only",
        "alter policy tenant_floor on notes to rowhouse_app",
        "a17_the_floor_binds_every_role",
    ),
    (
        "the floor is permissive",
        "drop policy tenant_floor on notes; create policy tenant_floor on notes for all using (tenant_id = (select rowhouse.bound_tenant()))",
        "a09_a_permissive_policy_added_later_widens_nothing",
    ),
    (
        "no floor under updates",
        "drop policy tenant_floor_update on notes",
        "a10_a_reader_changes_nothing",
    ),
    (
        "readers write",
        "alter policy tenant_floor on notes with check (tenant_id = (select rowhouse.bound_tenant()))",
        "a10_a_reader_changes_nothing",
    ),
    (
        "no floor under deletions",
        "drop policy tenant_floor_delete on notes",
        "a10_a_reader_changes_nothing",
    ),
    (
        "no context shows everything",
        "alter policy tenant_floor on notes using (tenant_id = (select rowhouse.bound_tenant()) or current_setting('app.tenant_id', true) is null)",
        "every_walled_table_has_the_whole_floor",
    ),
    (
        "the floor of our own table is gone",
        "drop policy tenant_floor on rowhouse.audit_log",
        "b10_trails_and_copies_are_behind_the_wall",
    ),
    (
        "the floor is asked after the caller's conditions",
        "alter policy tenant_floor on notes using (tenant_id = (select rowhouse.bound_tenant()))",
        "the_floor_is_asked_before_the_callers_conditions",
    ),
    (
        "the floor is asked after the caller's conditions, in the registry",
        "alter policy bound_one on rowhouse.tenants using (id = (select rowhouse.bound_tenant()))",
        "the_floor_is_asked_before_the_callers_conditions",
    ),
    (
        "the floor is tried after what costs less",
        "select pg_temp.edit('rowhouse.floor_first', '<> ''0'' then', '<> ''0'' and false then')",
        "no_condition_of_the_callers_is_tried_on_a_foreign_row",
    ),
    (
        "the planner does not run what puts the floor first",
        "alter function rowhouse.floor_first() stable",
        "no_condition_of_the_callers_is_tried_on_a_foreign_row",
    ),
    (
        "nothing puts the floor of the registry first",
        "alter policy bound_one on rowhouse.tenants using ((id, true) = (select rowhouse.bound_tenant(), true))",
        "no_condition_of_the_callers_is_tried_on_a_foreign_row",
    ),
    (
        "the floor of projects is tried after what costs less",
        "select pg_temp.edit('rowhouse.raise_wall', 'rowhouse.floor_first() and', '')",
        "no_condition_of_the_callers_is_tried_on_a_row_of_another_project",
    ),
    (
        "every tenant is shown",
        "alter policy bound_one on rowhouse.tenants using (true)",
        "b01_our_views_show_the_callers_tenant_only",
    ),
    (
        "a view runs as its owner",
        "alter view rowhouse.org_members reset (security_invoker)",
        "b01_our_views_show_the_callers_tenant_only",
    ),
    (
        "a view runs as its owner, asked of the catalogue",
        "alter view rowhouse.organizations reset (security_invoker)",
        "views_run_as_their_caller",
    ),
    (
        "members manage",
        "alter policy managers on rowhouse.teams using (true) with check (true)",
        "a_viewer_reads_and_a_member_writes",
    ),
    (
        "a table nobody classified",
        "create table rowhouse.later (id int)",
        "every_relation_is_in_exactly_one_class",
    ),
    (
        "the projects' floor is not made",
        "select pg_temp.edit('rowhouse.raise_wall', 'if project_column is not null then', 'if false then')",
        "a_project_that_is_not_the_callers_is_refused",
    ),
    (
        "the projects' floor is for changes only",
        "select pg_temp.edit('rowhouse.raise_wall', 'as restrictive for all to public using (%s) with check (%2$s)', 'as restrictive for update to public using (%s) with check (%2$s)')",
        "p01_every_way_to_read_is_bound_to_the_callers_projects",
    ),
    (
        "the projects' floor is for reading only",
        "select pg_temp.edit('rowhouse.raise_wall', 'as restrictive for all to public using (%s) with check (%2$s)', 'as restrictive for select to public using (%s)')",
        "p03_a_row_is_neither_made_in_another_project_nor_moved_there",
    ),
    (
        "the projects' floor lets rows be made and moved anywhere",
        "select pg_temp.edit('rowhouse.raise_wall', 'as restrictive for all to public using (%s) with check (%2$s)', 'as restrictive for all to public using (%s) with check (true)')",
        "p04_on_conflict_touches_no_row_of_another_project",
    ),
    (
        "the projects' floor only opens",
        "select pg_temp.edit('rowhouse.raise_wall', 'project_floor on %s as restrictive', 'project_floor on %s as permissive')",
        "p02_a_permissive_policy_added_later_widens_nothing",
    ),
    (
        "the projects' floor of resources is gone beneath what may be seen",
        "drop policy project_floor on rowhouse.resources",
        "p09_nothing_of_another_projects_resource_is_to_be_had",
    ),
    (
        "the projects' floor of resources is gone beneath another policy",
        "drop policy project_floor on rowhouse.resources",
        "p02_a_permissive_policy_added_later_widens_nothing",
    ),
    (
        "the projects of a context are not sealed",
        "select pg_temp.edit_view('rowhouse_private.context', 'current_setting(''app.context''::text, true)', 'split_part(current_setting(''app.context''::text, true), '';''::text, 2)'), pg_temp.edit('rowhouse.enter', 'pg_catalog.set_config(''app.context'',', 'pg_catalog.split_part(pg_catalog.set_config(''app.context'',', 'l.packed else l.packed_read end, true)', 'l.packed else l.packed_read end, true), '';'', 2)')",
        "p05_a_forged_list_of_projects_is_refused",
    ),
    (
        "a ticket of one project is in all of them",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'live.role, project, live.principals', 'live.role, array_to_string(live.projects, '',''), live.principals')",
        "p06_a_ticket_narrowed_to_one_project_is_in_no_other",
    ),
    (
        "who left a project keeps it",
        "drop trigger roles_changed on rowhouse.user_project_roles",
        "p08_who_left_a_project_is_out_at_the_next_transaction",
    ),
    (
        "drop owned: a role has something as a whole",
        "grant select on rowhouse_private.drop_owned_fails_here to rowhouse_app, rowhouse_platform, rowhouse_shadow, rowhouse_enforced",
        "b18_no_role_drops_what_it_was_granted",
    ),
    (
        "drop owned: nothing makes it fail",
        "revoke select (nothing) on rowhouse_private.drop_owned_fails_here from rowhouse_app, rowhouse_platform, rowhouse_shadow, rowhouse_enforced",
        "b18_no_role_drops_what_it_was_granted",
    ),
    (
        "modes: a floor that is gone is not missed",
        "select pg_temp.edit('rowhouse.set_mode', 'if not found_floors @> known_floors or not ''tenant_floor'' = any (found_floors) then', 'if false then')",
        "a_table_that_has_lost_a_floor_changes_its_mode_no_more_and_is_listed_so",
    ),
    (
        "the wall is changed while a tenant is bound",
        "select pg_temp.edit('rowhouse_private.refuse_while_bound', '<> '''' then', '<> '''' and false then')",
        "d13_the_wall_is_not_changed_while_a_tenant_is_bound",
    ),
];

const PROVISIONING: &[Mutation] = &[
    (
        "managers write their quotas",
        "create policy managers on rowhouse.quotas for all to rowhouse_app using (true) with check (true)",
        "a_tenant_changes_nothing_of_what_it_is_granted",
    ),
    (
        "managers point their storage elsewhere",
        "create policy managers on rowhouse.tenant_configs for all to rowhouse_app using (true) with check (true)",
        "a_tenant_changes_nothing_of_what_it_is_granted",
    ),
    (
        "whoever is inside reads the run",
        "create policy inside on rowhouse.provisioning_runs for select to rowhouse_app using (true)",
        "a_tenant_changes_nothing_of_what_it_is_granted",
    ),
    (
        "quotas are granted to the application",
        "grant update (amount) on rowhouse.quotas to rowhouse_app",
        "a_tenant_changes_nothing_of_what_it_is_granted",
    ),
    (
        "a run makes no job",
        "alter table rowhouse.provisioning_runs disable trigger provisioning_started",
        "a_run_that_was_left_is_gone_on_with",
    ),
    (
        "a run that is taken up again makes no job",
        "alter table rowhouse.provisioning_runs disable trigger provisioning_resumed",
        "a_run_that_was_given_up_is_taken_up_again",
    ),
    (
        "the floor of the runs is gone",
        "drop policy tenant_floor on rowhouse.provisioning_runs",
        "what_is_granted_stays_inside",
    ),
];

const MAIL: &[Mutation] = &[
    (
        "what became of a mail is for its inviters to say",
        "grant update (mail) on rowhouse.invitations to rowhouse_app",
        "an_invitation_tells_what_became_of_its_mail_and_nothing_of_it",
    ),
    (
        "an invitation that is held locked holds up who notes its mail",
        "select pg_temp.edit('rowhouse.note_mail', 'for update skip locked', 'for update')",
        "nobody_inside_holds_up_who_notes_a_mail",
    ),
    (
        "a mail tells what it said",
        "grant select (last_error) on rowhouse.outbox to rowhouse_app",
        "an_invitation_tells_what_became_of_its_mail_and_nothing_of_it",
    ),
    (
        "whoever is inside reads the outbox",
        "create policy inside on rowhouse.outbox for select to rowhouse_app using (true)",
        "nobody_inside_reads_a_mail",
    ),
    (
        "the platform reads what waits to be sent",
        "grant select (text) on rowhouse.outbox to rowhouse_platform",
        "only_the_mailer_reads_a_mail",
    ),
    (
        "the platform takes a mail to be sent",
        "grant execute on function rowhouse.take_mail to rowhouse_platform",
        "only_the_mailer_reads_a_mail",
    ),
    (
        "who sends mail sees whose",
        "grant select (tenant_id) on rowhouse.outbox to rowhouse_mailer",
        "only_the_mailer_reads_a_mail",
    ),
    (
        "the outbox is readable to the application",
        "grant select (id) on rowhouse.outbox to rowhouse_app",
        "nobody_inside_reads_a_mail",
    ),
    (
        "who manages a tenant writes mail",
        "create policy managers_queue on rowhouse.outbox for insert to rowhouse_app with check (true);
         grant insert (tenant_id, id, recipient, subject, text) on rowhouse.outbox to rowhouse_app",
        "only_the_platform_says_what_a_mail_says",
    ),
    (
        "an address holds more than an address",
        "alter table rowhouse.outbox drop constraint outbox_recipient_is_an_address",
        "a_mail_is_one_address_and_one_line_of_subject",
    ),
    (
        "a subject holds more than a line",
        "alter table rowhouse.outbox drop constraint outbox_subject_is_a_line",
        "a_mail_is_one_address_and_one_line_of_subject",
    ),
    (
        "a mail makes no job",
        "alter table rowhouse.outbox disable trigger mail_queued",
        "a_job_says_where_to_look_and_nothing_else",
    ),
    (
        "jobs are readable to the application",
        "grant select on rowhouse.jobs to rowhouse_app",
        "nobody_inside_reads_a_mail",
    ),
    (
        "the application makes jobs",
        "grant insert on rowhouse.jobs to rowhouse_app; create policy anyone on rowhouse.jobs for insert to rowhouse_app with check (true)",
        "nobody_inside_reads_a_mail",
    ),
];

const RIGHTS: &[Mutation] = &[
    (
        "TRUNCATE is granted",
        "grant truncate on notes to rowhouse_app",
        "a04_truncate_is_refused_on_every_table",
    ),
    (
        "TRIGGER is granted",
        "grant trigger on notes to rowhouse_app",
        "a05_a_trigger_on_a_walled_table_is_refused",
    ),
    (
        "REFERENCES is granted",
        "grant references on notes to rowhouse_app",
        "a06_no_table_that_references_a_walled_one_can_be_made",
    ),
    (
        "CREATE in public is granted",
        "grant create on schema public to public",
        "b06_nothing_can_be_created_in_a_schema_of_the_path",
    ),
    (
        "TEMPORARY is granted",
        "do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$",
        "c12_no_temporary_table_can_be_made",
    ),
    (
        "tenant_id may be updated",
        "grant update (tenant_id) on rowhouse.resources to rowhouse_app",
        "tenant_id_is_a_uuid_never_null_and_never_updated",
    ),
    (
        "tenant_id may be null",
        "alter table notes drop constraint notes_pkey; alter table notes alter tenant_id drop not null",
        "a14_a_row_without_tenant_is_refused",
    ),
    (
        "the locator is readable",
        "grant select on rowhouse.locator to rowhouse_app",
        "b10_trails_and_copies_are_behind_the_wall",
    ),
    (
        "hashes of keys are readable",
        "grant select (secret_hash) on rowhouse.api_keys to rowhouse_app",
        "b10_trails_and_copies_are_behind_the_wall",
    ),
    (
        "the trail can be rewritten",
        "grant update on rowhouse.audit_log to rowhouse_app",
        "b10_trails_and_copies_are_behind_the_wall",
    ),
    (
        "the keys are readable",
        "grant usage on schema rowhouse_private to public; grant select on rowhouse_private.keyring to rowhouse_app",
        "c05_nothing_seals_what_a_caller_hands_over",
    ),
    (
        "sealing is callable",
        "grant usage on schema rowhouse_private to public; grant execute on all functions in schema rowhouse_private to public",
        "b04_inner_functions_cannot_be_called",
    ),
    (
        "the platform reads content",
        "grant select on rowhouse.resources to rowhouse_platform",
        "b20_the_platform_deletes_no_tenant_and_reads_no_content",
    ),
    (
        "the platform deletes tenants",
        "grant delete on rowhouse.tenants to rowhouse_platform",
        "b20_the_platform_deletes_no_tenant_and_reads_no_content",
    ),
    (
        "new tables are granted to everybody",
        "alter default privileges for role rowhouse_owner grant select on tables to public",
        "a07_a_table_made_by_hand_is_not_readable",
    ),
    (
        "a function belongs to a superuser",
        "alter function rowhouse.locate owner to postgres",
        "tables_have_one_owner_and_functions_another",
    ),
    (
        "a new function with its owner's rights",
        "create function public.all_notes() returns setof notes language sql security definer return (select n from notes n limit 1)",
        "functions_with_their_owners_rights_are_these",
    ),
];

const KEYS: &[Mutation] = &[
    (
        "a primary key without tenant",
        "alter table rowhouse.resources drop constraint resources_pkey cascade, add constraint resources_pkey primary key (id)",
        "d02_an_id_taken_by_another_tenant_is_free",
    ),
    (
        "a unique name without tenant",
        "drop index rowhouse.teams_name; create unique index teams_name on rowhouse.teams (name) where deleted_at is null",
        "d01_a_name_taken_by_another_tenant_is_free",
    ),
    (
        "a foreign key without tenant",
        "alter table rowhouse.teams add constraint teams_id unique (id); alter table rowhouse.team_members drop constraint team_members_team, add constraint team_members_team foreign key (team_id) references rowhouse.teams (id)",
        "d04_a_reference_to_a_foreign_row_is_refused_like_one_to_nothing",
    ),
    (
        "a foreign key without tenant, asked of the catalogue",
        "alter table rowhouse.resources add constraint resources_id unique (id); alter table rowhouse.resource_acl drop constraint resource_acl_resource, add constraint resource_acl_resource foreign key (resource_id) references rowhouse.resources (id)",
        "foreign_keys_hold_the_tenant",
    ),
    (
        "a cascade",
        "alter table rowhouse.resource_acl drop constraint resource_acl_resource, add constraint resource_acl_resource foreign key (tenant_id, resource_id) references rowhouse.resources (tenant_id, id) on delete cascade",
        "no_foreign_key_acts_on_another_row",
    ),
    (
        "an index without tenant",
        "create index notes_by_body on notes (body)",
        "tenant_id_leads_every_key_and_index",
    ),
    (
        "a closed set that grew",
        "alter table rowhouse.tenants drop constraint tenants_plan, add constraint tenants_plan check (plan in ('free', 'team', 'business', 'enterprise', 'gold'))",
        "closed_sets_are_those_of_the_enums",
    ),
    (
        "a counter for all",
        "create sequence rowhouse.invoices",
        "d09_no_counter_is_shared",
    ),
];

const SEAL: &[Mutation] = &[
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

const ENTER: &[Mutation] = &[
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

const LIVENESS: &[Mutation] = &[
    (
        "a tenant's state is not carried over",
        "drop trigger tenant_changed on rowhouse.tenants",
        "a_suspended_tenant_is_refused_on_every_node",
    ),
    (
        "a tenant's place is not carried over",
        "create or replace function rowhouse_private.tenant_state(status text, placement text, deleted_at timestamptz) returns text language sql immutable parallel safe return case when status = 'active' then 'active' else 'RH004' end",
        "a_tenant_placed_elsewhere_is_refused",
    ),
    (
        "a removal is not carried over",
        "select pg_temp.edit('rowhouse_private.member_changed', 'perform rowhouse_private.refresh(member.tenant_id, member.user_id);', 'if tg_op <> ''DELETE'' then perform rowhouse_private.refresh(member.tenant_id, member.user_id); end if;')",
        "a_removed_member_is_refused_on_every_node",
    ),
    (
        "a revoked key is not carried over",
        "select pg_temp.edit('rowhouse_private.key_changed', 'perform rowhouse_private.refresh(new.tenant_id, new.id);', '')",
        "a_revoked_key_is_refused_on_every_node",
    ),
    (
        "teams are not carried over",
        "drop trigger team_members_changed on rowhouse.team_members",
        "two_changes_of_one_users_teams_both_count",
    ),
    (
        "roles are not carried over",
        "drop trigger roles_changed on rowhouse.user_project_roles",
        "every_caller_is_what_the_base_tables_say",
    ),
    (
        "projects are not carried over",
        "drop trigger projects_added on rowhouse.projects; drop trigger projects_changed on rowhouse.projects",
        "every_caller_is_what_the_base_tables_say",
    ),
    (
        "a trigger is gone, asked of the catalogue",
        "drop trigger roles_changed on rowhouse.user_project_roles",
        "triggers_are_these",
    ),
    (
        "changes are computed at the same time",
        "select pg_temp.edit('rowhouse_private.refresh', 'for update', ''), pg_temp.edit('rowhouse_private.one_at_a_time', 'l.tenant_id = in_tenant', 'false')",
        "two_changes_of_one_users_teams_both_count",
    ),
    (
        "a role is given while its project is deleted",
        "select pg_temp.edit('rowhouse_private.one_at_a_time', 'l.tenant_id = in_tenant', 'false'), pg_temp.edit('rowhouse_private.managed_by_caller', 'for share', '')",
        "a_deleted_project_is_not_kept_by_a_role_given_at_once",
    ),
    (
        "a new caller is missed under a stale snapshot",
        "select pg_temp.edit('rowhouse_private.one_at_a_time', 'update rowhouse_private.liveness l', 'perform from rowhouse_private.liveness l', 'set updated_at = clock_timestamp()', '', 'pg_current_xact_id()::xid;', 'pg_current_xact_id()::xid for no key update;')",
        "under_repeatable_read_a_new_caller_is_not_missed",
    ),
    (
        "the tenant's row is the lock",
        "grant update (updated_at) on rowhouse.tenants to rowhouse_definer; select pg_temp.edit('rowhouse_private.one_at_a_time', 'update rowhouse_private.liveness l', 'perform from rowhouse.tenants t where t.id = in_tenant for update; update rowhouse_private.liveness l')",
        "a_tenant_does_not_hold_up_its_own_suspension",
    ),
    (
        "a deleted tenant is entered",
        "select pg_temp.edit('rowhouse_private.tenant_state', 'AND (deleted_at IS NULL)', '')",
        "a_tenant_marked_as_deleted_is_refused",
    ),
    (
        "a user is deleted while he is added",
        "select pg_temp.edit('rowhouse_private.principal_added', 'for share', '')",
        "a_user_deleted_while_he_is_added_does_not_enter",
    ),
    (
        "a key locks the user whose id it has",
        "select pg_temp.edit('rowhouse_private.principal_added', 'if new.kind = ''user'' then', 'if true then')",
        "a_tenant_locks_nobody_elses_user",
    ),
    (
        "who was removed goes on managing",
        "select pg_temp.edit('rowhouse_private.managed_by_caller', 'if not found then', 'if false then')",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "the platform makes itself a key",
        "select pg_temp.edit('rowhouse_private.key_changed', 'caller = ''system''', 'false')",
        "the_platform_makes_no_key_for_a_tenant_with_an_owner",
    ),
    (
        "an admin makes owners",
        "select pg_temp.edit('rowhouse_private.member_changed', 'if caller <> ''owner'' and', 'if false and')",
        "an_admin_makes_and_unmakes_no_owner",
    ),
    (
        "an owner is whoever was one when he entered",
        "select pg_temp.edit('rowhouse_private.member_changed', 'if caller <> ''owner''', 'if rowhouse.caller_role() <> ''owner''')",
        "an_admin_makes_and_unmakes_no_owner",
    ),
    (
        "a suspended tenant goes on being managed",
        "select pg_temp.edit('rowhouse_private.managed_by_caller', 'caller <> ''system'' and not exists', 'false and not exists')",
        "a_suspended_tenants_open_transaction_leaves_nothing_behind",
    ),
    (
        "the platform widens a key",
        "select pg_temp.edit('rowhouse_private.key_changed', 'or not new.permissions <@ old.permissions', '')",
        "the_platform_widens_no_key_of_a_tenant_with_an_owner",
    ),
    (
        "the platform keeps a key alive",
        "select pg_temp.edit('rowhouse_private.key_changed', 'or coalesce(new.expires_at, ''infinity'') > coalesce(old.expires_at, ''infinity'')', '')",
        "the_platform_widens_no_key_of_a_tenant_with_an_owner",
    ),
    (
        "a revoked key comes back",
        "select pg_temp.edit('rowhouse_private.key_changed', 'old.revoked_at is not null and', 'false and')",
        "a_revoked_key_stays_revoked",
    ),
    (
        "the platform makes room for its own key",
        "select pg_temp.edit('rowhouse_private.member_changed', 'old.role = ''owner''', 'false')",
        "the_platform_makes_no_key_for_a_tenant_with_an_owner",
    ),
    (
        "a tenant changes its id",
        "grant update on rowhouse.tenants to rowhouse_platform",
        "ids_of_the_registry_never_change",
    ),
    (
        "a name changes hands",
        "select pg_temp.edit('rowhouse_private.take_name', 'where l.id = excluded.id', '')",
        "a_name_once_taken_is_its_takers",
    ),
    (
        "addresses can be guessed",
        "select pg_temp.edit('rowhouse.locate', 'l.kind <> ''email''', 'true')",
        "whose_an_address_is_only_the_platform_asks",
    ),
    (
        "a viewer writes",
        "select pg_temp.edit('rowhouse_private.refresh', 'case when member_role = ''viewer'' then ''r'' else ''w'' end', '''w''')",
        "a_viewer_reads_and_a_member_writes",
    ),
    (
        "any number of principals",
        "select pg_temp.edit('rowhouse_private.refresh', '> 256', '> 100000')",
        "a_caller_with_too_many_principals_is_refused",
    ),
];

const INSIDE: &[Mutation] = &[
    (
        "inside: who went is given something",
        "select pg_temp.edit('rowhouse_private.entry_given', 'p.deleted_at is null', 'true')",
        "an_entry_goes_with_whom_it_was_given_to",
    ),
    (
        "inside: what somebody was given waits for him to come back",
        "select pg_temp.edit('rowhouse_private.member_went', 'delete from rowhouse.resource_acl a where', 'delete from rowhouse.resource_acl a where false and')",
        "an_entry_goes_with_whom_it_was_given_to",
    ),
    (
        "inside: who was removed or demoted goes on sharing",
        "select pg_temp.edit('rowhouse_private.entry_given', 'for share;
  if not found then
    raise exception ''the caller', 'for share;
  if false then
    raise exception ''the caller')",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "inside: who was demoted goes on sharing",
        "select pg_temp.edit('rowhouse_private.entry_given', 'l.role = rowhouse.caller_role()', 'true'), pg_temp.edit('rowhouse_private.entry_given', '(l.role = any', '(true or l.role = any')",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "inside: a deleted project takes what lies in it out of every copy",
        "select pg_temp.edit('rowhouse_private.refresh', 'or member_role = ''job''', '')",
        "what_lies_in_a_deleted_project_is_copied_with_the_tenant",
    ),
    (
        "inside: projects are no floor",
        "drop policy project_floor on rowhouse.resources",
        "a_project_is_a_floor_inside_the_tenant",
    ),
    (
        "inside: everybody sees everything",
        "alter policy reading on rowhouse.resources using (true)",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: everybody changes everything",
        "alter policy writing on rowhouse.resources using (true)",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: who sees it changes it",
        "select pg_temp.edit_policy('rowhouse.resources', 'writing', 'rowhouse.caller_edits()', 'rowhouse.caller_audiences()')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: a reader's entry lets change",
        "select pg_temp.edit_policy('rowhouse.resources', 'writing', '{write,admin}', '{read,write,admin}')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: entries are for everybody",
        "select pg_temp.edit_policy('rowhouse.resources', 'reading', '(a.principal_id = ANY', '(true or a.principal_id = ANY')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: anything is put anywhere",
        "alter policy making on rowhouse.resources with check (true)",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: put into any workspace",
        "select pg_temp.edit_policy('rowhouse.resources', 'making', 'rowhouse.may_use_workspace(workspace_id)', 'true')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: put into any team",
        "select pg_temp.edit_policy('rowhouse.resources', 'making', '(team_id = ANY', '(true or team_id = ANY')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: whoever is in a project edits it",
        "select pg_temp.edit('rowhouse.caller_edits', ''';''::text, 5', ''';''::text, 3')",
        "a_projects_viewer_changes_nothing_in_it",
    ),
    (
        "inside: entries are everybody's to make",
        "alter policy adding on rowhouse.resource_acl with check (true)",
        "a_granter_gives_no_more_than_it_holds",
    ),
    (
        "inside: entries are everybody's to raise",
        "alter policy changing on rowhouse.resource_acl using (true)",
        "a_granter_gives_no_more_than_it_holds",
    ),
    (
        "inside: entries are everybody's to take",
        "alter policy removing on rowhouse.resource_acl using (true)",
        "a_granter_gives_no_more_than_it_holds",
    ),
    (
        "inside: who may write may share",
        "select pg_temp.edit('rowhouse.may_share', 'a.access = ''admin''', 'a.access <> ''read''')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: who sees it may share",
        "select pg_temp.edit('rowhouse.may_share', 'rowhouse.caller_administers()', 'rowhouse.caller_audiences()')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: an editor shares",
        "select pg_temp.edit('rowhouse_private.refresh', '(where r.role = ''admin'')', '(where r.role <> ''viewer'')')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: a project's viewer edits",
        "select pg_temp.edit('rowhouse_private.refresh', '''{editor,admin}''', '''{viewer,editor,admin}''')",
        "a_projects_viewer_changes_nothing_in_it",
    ),
    (
        "inside: a writer says who sees it",
        "drop trigger shared on rowhouse.resources",
        "who_sees_it_is_for_its_administrators_to_say",
    ),
    (
        "inside: moved into any workspace",
        "select pg_temp.edit('rowhouse_private.resource_shared', 'not rowhouse.may_use_workspace(new.workspace_id)', 'false')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: moved to any team",
        "select pg_temp.edit('rowhouse_private.resource_shared', 'new.team_id = any (rowhouse.caller_principals())', 'true')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
];

const REQUESTS: &[Mutation] = &[
    (
        "requests: an answer is for the whole tenant",
        "drop policy own_floor on rowhouse.idempotency_keys",
        "an_answer_is_for_whoever_asked",
    ),
    (
        "requests: answers are put under any name",
        "alter policy own_floor on rowhouse.idempotency_keys with check (true);
         grant insert on rowhouse.idempotency_keys to rowhouse_app",
        "an_answer_is_for_whoever_asked",
    ),
    (
        "requests: no floor under answers",
        "drop policy tenant_floor on rowhouse.idempotency_keys;
         grant insert on rowhouse.idempotency_keys to rowhouse_app;
         alter policy own_floor on rowhouse.idempotency_keys with check (true)",
        "an_answer_is_for_whoever_asked",
    ),
    (
        "requests: a key is the tenant's",
        "alter table rowhouse.idempotency_keys drop constraint idempotency_keys_pkey,
           add constraint idempotency_keys_pkey primary key (tenant_id, key);
         create unique index on rowhouse.idempotency_keys (tenant_id, principal_id, key)",
        "an_answer_is_for_whoever_asked",
    ),
    (
        "requests: a caller says when he asked",
        "grant update on rowhouse.idempotency_keys to rowhouse_app",
        "a_request_is_forgotten_after_a_day_and_no_other_with_it",
    ),
    (
        "requests: tenants read what operators were answered",
        "grant select on rowhouse.operator_requests to rowhouse_app",
        "operators_have_answers_of_their_own",
    ),
    (
        "requests: the platform reads what tenants were answered",
        "grant select on rowhouse.idempotency_keys to rowhouse_platform",
        "operators_have_answers_of_their_own",
    ),
];

const PEOPLE: &[Mutation] = &[
    (
        "sessions: whoever is being deleted gets one",
        "select pg_temp.edit('rowhouse_private.add_session', 'for share; -- who', '; -- who')",
        "nobody_who_is_being_deleted_gets_a_session",
    ),
    (
        "sessions: one that is being ended opens another",
        "select pg_temp.edit('rowhouse.hold_session', 'for share', '')",
        "nobody_switches_while_he_is_shown_out",
    ),
    (
        "sessions: they outlive a user who is deleted",
        "select pg_temp.edit('rowhouse_private.user_changed', 'where user_id = new.id and credential_id', 'where false and credential_id')",
        "who_is_shown_out_while_he_switches_is_out",
    ),
    (
        "the platform adds whom it likes",
        "grant insert on rowhouse.tenant_members to rowhouse_platform; select pg_temp.edit('rowhouse_private.member_changed', 'or (tg_op = ''INSERT'' or', 'or (false or')",
        "nobody_is_added_by_sql_inside_the_tenant",
    ),
    (
        "the application adds members",
        "grant execute on function rowhouse.add_member to rowhouse_app",
        "nobody_is_added_by_sql_inside_the_tenant",
    ),
    (
        "the platform's own ticket adds members",
        "select pg_temp.edit('rowhouse_private.member_changed', 'or (tg_op = ''INSERT'' or', 'or (false or')",
        "the_platform_lets_nobody_in",
    ),
    (
        "the platform raises members",
        "select pg_temp.edit('rowhouse_private.member_changed', 'or array_position(ranks, new.role) > array_position(ranks, old.role)', '')",
        "the_platform_raises_nobody",
    ),
    (
        "the last owner goes",
        "select pg_temp.edit('rowhouse_private.member_changed', 'old.role = ''owner'' and new.role is distinct from ''owner''', 'false')",
        "a_tenant_keeps_its_last_owner",
    ),
    (
        "an owner who is gone counts",
        "select pg_temp.edit('rowhouse_private.member_changed', 'and not l.user_gone', '')",
        "a_tenant_keeps_its_last_owner",
    ),
    (
        "owners go at the same time",
        "select pg_temp.edit('rowhouse_private.one_at_a_time', 'l.tenant_id = in_tenant', 'false'), pg_temp.edit('rowhouse_private.managed_by_caller', 'for share', '')",
        "of_two_owners_who_go_at_once_one_stays",
    ),
    (
        "whoever leaves may do more afterwards",
        "select pg_temp.edit('rowhouse.leave', 'perform rowhouse_private.open(tenant, me, context);', '')",
        "whoever_leaves_asks_nobody",
    ),
    (
        "whoever reads only leaves",
        "select pg_temp.edit('rowhouse_private.as_oneself', 'if role = ''viewer'' then', 'if true then')",
        "whoever_leaves_asks_nobody",
    ),
    (
        "an invitation is good twice",
        "select pg_temp.edit('rowhouse.accept_invitation', 'when invited.accepted_at is not null', 'when false'); alter table rowhouse.tenant_members drop constraint tenant_members_pkey cascade",
        "an_invitation_is_good_once",
    ),
    (
        "two accept at the same time",
        "select pg_temp.edit('rowhouse.accept_invitation', 'perform rowhouse_private.one_at_a_time(place.tenant_id);', '')",
        "an_invitation_is_good_once",
    ),
    (
        "an invitation does not expire",
        "select pg_temp.edit('rowhouse.accept_invitation', 'when invited.expires_at <= clock_timestamp()', 'when false')",
        "an_invitation_ends",
    ),
    (
        "a revoked invitation is good",
        "select pg_temp.edit('rowhouse.accept_invitation', 'when invited.revoked_at is not null', 'when false'); alter table rowhouse.invitations drop constraint invitations_used_once",
        "an_invitation_ends",
    ),
    (
        "a revoked invitation comes back",
        "select pg_temp.edit('rowhouse_private.invitation_changed', 'old.revoked_at is not null and', 'false and')",
        "an_invitation_ends",
    ),
    (
        "an invitation lasts for ever",
        "alter table rowhouse.invitations drop constraint invitations_end",
        "an_invitation_ends",
    ),
    (
        "who went brings others in, once he is back",
        "drop trigger member_went on rowhouse.tenant_members",
        "an_invitation_is_as_good_as_its_inviter",
    ),
    (
        "who is gone from the platform brings others in",
        "select pg_temp.edit('rowhouse.accept_invitation', 'invited.invited_by)', 'rowhouse.service_principal(place.tenant_id, ''system''))'), pg_temp.edit('rowhouse_private.member_changed', 'or (tg_op = ''INSERT'' or', 'or (false or')",
        "an_invitation_is_as_good_as_its_inviter",
    ),
    (
        "an address is its earlier user's",
        "select pg_temp.edit('rowhouse.accept_invitation', 'or lower(person.email) <> lower(invited.email)', '')",
        "an_invitation_is_for_the_user_of_its_address",
    ),
    (
        "an invitation's session opens others",
        "select pg_temp.edit('rowhouse.accept_invitation', 'person.id <> new_user', 'false')",
        "an_invitation_opens_none_of_the_other_tenants_of_whom_it_brings",
    ),
    (
        "an address has a twin",
        "alter table rowhouse.invitations drop constraint invitations_email_in_one_form",
        "an_address_has_one_form",
    ),
    (
        "a user's address has a twin",
        "alter table rowhouse.users drop constraint users_email_in_one_form",
        "an_address_has_one_form",
    ),
    (
        "who is gone from the platform comes in",
        "select pg_temp.edit('rowhouse.accept_invitation', 'when person.deleted_at is not null or', 'when')",
        "an_invitation_is_for_the_user_of_its_address",
    ),
    (
        "an admin invites owners",
        "select pg_temp.edit('rowhouse.invite', 'if caller = ''admin''', 'if false and caller = ''admin''')",
        "an_admin_invites_no_owner",
    ),
    (
        "everybody invites",
        "select pg_temp.edit('rowhouse.invite', 'rowhouse_private.managed_by_caller(tenant)', '''owner''', 'if rowhouse.caller_role() <> all', 'if false and rowhouse.caller_role() <> all'); drop trigger mail_queued on rowhouse.outbox",
        "an_admin_invites_no_owner",
    ),
    (
        "the platform invites",
        "select pg_temp.edit('rowhouse.invite', 'if caller = ''system''', 'if false and caller = ''system''')",
        "the_platform_invites_while_there_is_no_owner",
    ),
    (
        "a token is a constant of a plan",
        "select pg_temp.edit('rowhouse.invite', '  caller text', '  token constant text := ''invite_'' || encode(substring(rowhouse_private.new_key(), 1, 24), ''hex''); caller text', 'select ''invite_'' || encode(substring(rowhouse_private.new_key(), 1, 24), ''hex'') as token', 'select token as token')",
        "nobody_inside_learns_an_invitations_token",
    ),
    (
        "owners read the mail",
        "grant select on rowhouse.outbox to rowhouse_app",
        "nobody_inside_learns_an_invitations_token",
    ),
    (
        "owners choose the token",
        "grant insert on rowhouse.invitations to rowhouse_app",
        "nobody_inside_learns_an_invitations_token",
    ),
    (
        "everybody sees who was invited",
        "create policy inside on rowhouse.invitations for select to rowhouse_app using (true)",
        "invitations_are_for_those_who_manage",
    ),
    (
        "a suspended tenant takes people in",
        "select pg_temp.edit('rowhouse.accept_invitation', 'and s.state = ''active''', ''), pg_temp.edit('rowhouse_private.managed_by_caller', 'caller <> ''system'' and not exists', 'false and not exists')",
        "a_suspended_tenant_takes_nobody_in",
    ),
    (
        "the application opens sessions",
        "grant execute on function rowhouse.open_session to rowhouse_app",
        "nobody_inside_opens_a_session",
    ),
    (
        "sessions are rows like others",
        "grant insert on rowhouse.sessions to rowhouse_app",
        "nobody_inside_opens_a_session",
    ),
    (
        "a session lasts for ever",
        "alter table rowhouse.sessions drop constraint sessions_end",
        "nobody_inside_opens_a_session",
    ),
    (
        "a ticket that reads opens a session that writes",
        "select pg_temp.edit('rowhouse.open_session', 'or substring(ticket, 67, 1) <> ''w''', ''), pg_temp.edit('rowhouse_private.as_oneself', 'if role = ''viewer'' then', 'if true then')",
        "a_session_is_for_a_ticket_that_nothing_narrows",
    ),
    (
        "a ticket of one project opens all",
        "select pg_temp.edit('rowhouse.open_session', 'or substring(ticket, 35, 32) <> decode(repeat(''00'', 32), ''hex'')', '')",
        "a_session_is_for_a_ticket_that_nothing_narrows",
    ),
    (
        "an ended session goes on",
        "select pg_temp.edit('rowhouse_private.end_sessions', 'delete from rowhouse_private.liveness l', 'perform from rowhouse_private.liveness l')",
        "a_session_ends_for_good",
    ),
    (
        "one ends everybody's session",
        "select pg_temp.edit('rowhouse.end_session', 'or (whose is distinct from me and rowhouse.caller_role() <> all (''{owner,admin,system}''))', '', 'and rowhouse_private.managed_by_caller(tenant) = ''admin''', '')",
        "a_session_ends_for_good",
    ),
    (
        "an admin ends an owner's session",
        "select pg_temp.edit('rowhouse.end_session', '= ''admin''', '= ''nobody''')",
        "a_session_ends_for_good",
    ),
    (
        "sessions outlive the membership",
        "select pg_temp.edit('rowhouse_private.member_went', 'perform rowhouse_private.end_sessions(old.tenant_id, old.user_id);', '')",
        "a_session_ends_with_the_membership",
    ),
    (
        "sessions outlive the user",
        "select pg_temp.edit('rowhouse_private.user_changed', 'where user_id = new.id and credential_id <>', 'where false and user_id = new.id and credential_id <>')",
        "a_session_ends_with_the_user",
    ),
    (
        "what changes prolongs a session",
        "select pg_temp.edit('rowhouse_private.refresh', 'case when live.kind = ''user'' then l.expires_at else expiry end', 'expiry')",
        "each_session_ends_by_itself_on_its_own",
    ),
    (
        "everybody sees who is signed in",
        "alter policy own on rowhouse.sessions using (true)",
        "sessions_are_their_users_own",
    ),
    (
        "an ended session's transaction goes on managing",
        "select pg_temp.edit('rowhouse_private.managed_by_caller', '= coalesce(nullif(split_part(current_setting(''app.context'', true), '';'', 7), '''')::uuid, l.credential_id)', '= l.credential_id')",
        "a_session_that_was_ended_leaves_nothing_behind",
    ),
    (
        "a tenant learns where else people belong",
        "grant execute on function rowhouse.memberships to rowhouse_app",
        "where_else_somebody_belongs_only_the_platform_asks",
    ),
    (
        "the last workspace goes",
        "drop trigger workspace_changed on rowhouse.workspaces",
        "a_tenant_keeps_its_last_workspace",
    ),
    (
        "projects: their admins say nothing",
        "drop policy project_admins on rowhouse.user_project_roles",
        "a_projects_admin_says_who_is_in_it",
    ),
    (
        "projects: whoever edits one says who is in it",
        "select pg_temp.edit_policy('rowhouse.user_project_roles', 'project_admins', 'caller_administers', 'caller_edits')",
        "a_projects_admin_says_who_is_in_it",
    ),
    (
        "projects: an admin of one is one of all",
        "select pg_temp.edit_policy('rowhouse.user_project_roles', 'project_admins', '(project_id = ANY', '(cardinality(rowhouse.caller_administers()) > 0 or project_id = ANY'), pg_temp.edit('rowhouse_private.managed_by_caller', 'in_project = any (l.administers)', 'cardinality(l.administers) > 0')",
        "a_projects_admin_says_nothing_beyond_it",
    ),
    (
        "projects: their admins add to what they see only",
        "alter policy project_admins on rowhouse.user_project_roles with check (true); select pg_temp.edit('rowhouse_private.managed_by_caller', 'in_project = any (l.administers)', 'cardinality(l.administers) > 0')",
        "a_projects_admin_says_nothing_beyond_it",
    ),
    (
        "projects: their admins let anybody in",
        "alter table rowhouse.user_project_roles drop constraint user_project_roles_member",
        "a_projects_admin_says_nothing_beyond_it",
    ),
    (
        "projects: an admin demoted meanwhile goes on",
        "select pg_temp.edit('rowhouse_private.managed_by_caller', 'in_project = any (l.administers)', 'in_project is not null')",
        "who_no_longer_administers_a_project_says_nothing",
    ),
    (
        "projects: who became a viewer meanwhile goes on",
        "select pg_temp.edit('rowhouse_private.managed_by_caller', 'l.access = ''w'' and ', '')",
        "who_no_longer_administers_a_project_says_nothing",
    ),
];

const DEPLOYED: &[Mutation] = &[
    (
        "deployed: everybody inside sees it",
        "alter policy by_resource on rowhouse.deployments using (true)",
        "a_deployment_is_for_those_who_see_its_resource",
    ),
    (
        "deployed: may_see sees with its owner's eyes",
        "alter function rowhouse.may_see security definer; grant select on rowhouse.resources to rowhouse_definer; create policy eyes on rowhouse.resources for select to rowhouse_definer using (true)",
        "a_deployment_is_for_those_who_see_its_resource",
    ),
    (
        "deployed: whoever sees it changes it",
        "select pg_temp.edit('rowhouse_private.deployment_changed', 'for share', '')",
        "a_deployment_is_changed_by_those_who_edit_its_resource",
    ),
    (
        "deployed: nothing is asked",
        "drop trigger deployment_changed on rowhouse.deployments",
        "a_deployment_is_changed_by_those_who_edit_its_resource",
    ),
    (
        "deployed: one says who asked for it",
        "grant insert (status), update (created_by) on rowhouse.deployments to rowhouse_app",
        "a_deployment_is_changed_by_those_who_edit_its_resource",
    ),
    (
        "deployed: twice in one place",
        "drop index rowhouse.deployments_place",
        "a_deployment_is_changed_by_those_who_edit_its_resource",
    ),
    (
        "deployed: every way is open",
        "select pg_temp.edit('rowhouse_private.deployment_changed', 'new.status <> old.status and', 'false and')",
        "a_deployment_goes_from_state_to_state",
    ),
    (
        "deployed: deleted while it runs",
        "select pg_temp.edit('rowhouse_private.deployment_changed', '''active'' = any (array[old.status, new.status])', 'false')",
        "a_deleted_deployment_stays_deleted",
    ),
    (
        "deployed: comes back",
        "select pg_temp.edit('rowhouse_private.deployment_changed', 'old.deleted_at is not null', 'false')",
        "a_deleted_deployment_stays_deleted",
    ),
    (
        "deployed: outlives its resource",
        "drop trigger deployments_stopped on rowhouse.resources",
        "a_deleted_resource_runs_nowhere",
    ),
    (
        "deployed: outlives its project",
        "drop trigger projects_deleted on rowhouse.projects",
        "what_lies_in_a_deleted_project_runs_nowhere",
    ),
    (
        "deployed: outlives a project that its resource came into",
        "drop trigger deployments_moved on rowhouse.resources",
        "what_lies_in_a_deleted_project_runs_nowhere",
    ),
    (
        "deployed: a deleted project starts",
        "select pg_temp.edit('rowhouse_private.deployment_placed', 'p.deleted_at is not null', 'false')",
        "what_lies_in_a_deleted_project_runs_nowhere",
    ),
    (
        "deployed: started while its project is deleted",
        "select pg_temp.edit('rowhouse_private.deployment_placed', 'for share', '')",
        "nothing_is_started_while_its_project_is_deleted",
    ),
    (
        "deployed: a deleted resource starts",
        "select pg_temp.edit('rowhouse_private.deployment_changed', 'gone is not null', 'false')",
        "a_deleted_resource_runs_nowhere",
    ),
    (
        "deployed: started while it is deleted",
        "select pg_temp.edit('rowhouse_private.deployment_changed', 'for share', '')",
        "what_is_deleted_is_not_started_at_the_same_time",
    ),
    (
        "deployed: the platform starts it",
        "grant update (status) on rowhouse.deployments to rowhouse_platform; grant select, update on rowhouse.resources to rowhouse_platform; create policy platform on rowhouse.resources for all to rowhouse_platform using (true)",
        "the_platform_sees_deployments_and_changes_none",
    ),
    (
        "personas: everybody gives them",
        "alter policy managers on rowhouse.persona_mappings using (true) with check (true); drop trigger persona_changed on rowhouse.persona_mappings",
        "personas_are_for_those_who_manage_to_say",
    ),
    (
        "personas: another tenant's key is as good",
        "alter table rowhouse.persona_mappings drop constraint persona_mappings_speaker",
        "personas_are_for_those_who_manage_to_say",
    ),
    (
        "personas: twice the same",
        "alter table rowhouse.persona_mappings drop constraint persona_mappings_once",
        "a_key_speaks_as_a_persona_once",
    ),
    (
        "personas: who was removed goes on",
        "drop trigger persona_changed on rowhouse.persona_mappings",
        "who_was_removed_gives_no_persona",
    ),
    (
        "personas: a revoked key is given one",
        "select pg_temp.edit('rowhouse_private.persona_changed', 'k.revoked_at is not null', 'false')",
        "a_revoked_key_is_given_no_persona",
    ),
];

const TRAIL: &[Mutation] = &[
    (
        "read: everybody inside reads it",
        "alter policy reading on rowhouse.audit_log using (true)",
        "of_what_one_does_not_see_one_does_not_read_either",
    ),
    (
        "read: of projects that one is not in",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '(project_id IS NULL)', 'true')",
        "of_what_one_does_not_see_one_does_not_read_either",
    ),
    (
        "read: of resources that one does not see",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', 'rowhouse.may_see(resource_id)', 'true')",
        "of_what_one_does_not_see_one_does_not_read_either",
    ),
    (
        "read: keys read all of it",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '{owner,', '{key,owner,')",
        "of_what_one_does_not_see_one_does_not_read_either",
    ),
    (
        "read: admins do not read all of it",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', 'admin,', '')",
        "of_what_one_does_not_see_one_does_not_read_either",
    ),
    (
        "read: one's own deeds are not there",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', 'actor_id =', 'null::uuid =')",
        "ones_own_deeds_one_reads_wherever_they_were",
    ),
    (
        "read: one's own deeds are all members'",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '(actor_id =', '(actor_id = any ((select rowhouse.caller_principals())::uuid[]) or actor_id =')",
        "ones_own_deeds_one_reads_wherever_they_were",
    ),
    (
        "read: nobody inside writes it",
        "drop policy adding on rowhouse.audit_log",
        "a10_a_reader_changes_nothing",
    ),
    (
        "read: a key sees all projects",
        "alter policy inside on rowhouse.projects using (true)",
        "a_key_sees_the_projects_that_it_was_made_for",
    ),
    (
        "read: a key sees who is in all projects",
        "alter policy inside on rowhouse.user_project_roles using (true)",
        "a_key_sees_the_projects_that_it_was_made_for",
    ),
    (
        "trail: not all of a row is sealed",
        "select pg_temp.edit('rowhouse.audit_digest', '(entry).actor_id, ', '')",
        "a_row_that_was_changed_is_found",
    ),
    (
        "trail: a seal does not know the one before",
        "select pg_temp.edit('rowhouse.audit_chain', 'COALESCE(before, ''\\x''::bytea)', '''\\x''::bytea')",
        "a_seal_that_was_made_anew_is_found",
    ),
    (
        "trail: everybody seals",
        "grant execute on function rowhouse.seal_audit to rowhouse_app; select pg_temp.edit('rowhouse.seal_audit', 'rowhouse.caller_role() <> ''system''', 'false')",
        "the_trail_is_sealed_by_the_platform_only",
    ),
    (
        "trail: a lock of anybody's stops the sealing",
        "select pg_temp.edit('rowhouse.seal_audit', 'select s.number, s.digest into last', 'if not pg_try_advisory_xact_lock(hashtextextended(tenant::text, 7)) then return 0; end if; select s.number, s.digest into last')",
        "no_lock_of_a_tenants_holds_up_the_sealing",
    ),
    (
        "trail: a second sealer takes the rows of the first",
        "select pg_temp.edit('rowhouse.seal_audit', 'taken <> ''audit_seals_pkey''', 'true')",
        "two_sealers_at_once_do_not_fail",
    ),
    (
        "trail: a detail of any length",
        "alter table rowhouse.audit_log drop constraint audit_log_detail_is_short",
        "no_row_is_too_long_to_be_sealed",
    ),
    (
        "trail: an action of any length",
        "alter table rowhouse.audit_log drop constraint audit_log_action_is_short",
        "no_row_is_too_long_to_be_sealed",
    ),
    (
        "trail: a request's id of any length",
        "alter table rowhouse.audit_log drop constraint audit_log_request_id_is_short",
        "no_row_is_too_long_to_be_sealed",
    ),
];

const RESIDUE: &[Mutation] = &[
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

/// How a check ended: `Ok`, or what it said.
async fn run(check: Check, mutation: Option<&str>) -> Result<(), String> {
    let world = attacks::scene().await;
    if let Some(sql) = mutation {
        let root = world.superuser().await;
        root.batch_execute(EDIT).await.unwrap();
        if let Err(error) = root.batch_execute(sql).await {
            return Err(format!(
                "the mutation does not run: {:?}",
                error.as_db_error()
            ));
        }
    }
    let checked = AssertUnwindSafe(tokio::time::timeout(PATIENCE, check(&world)))
        .catch_unwind()
        .await;
    let outcome = match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("it takes too long".to_owned()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()),
    };
    attacks::tear_down(world).await;
    outcome
}

fn first_line(said: &str) -> String {
    let said = said
        .split("HOLE")
        .nth(1)
        .map_or(said, |rest| rest.trim_start_matches([':', ' ']));
    said.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(110)
        .collect()
}

async fn all() -> bool {
    let checks: BTreeMap<&str, Check> = [
        attacks::a_wall::CHECKS,
        attacks::b_ways_around::CHECKS,
        attacks::c_context::CHECKS,
        attacks::d_keys::CHECKS,
        attacks::e_side_channels::CHECKS,
        attacks::p_projects::CHECKS,
        catalogue::CHECKS,
        deployments::CHECKS,
        mail::CHECKS,
        requests::CHECKS,
        provisioning::CHECKS,
        rights::CHECKS,
        trail::CHECKS,
        people::CHECKS,
        personas::CHECKS,
        wall::CHECKS,
        pool::CHECKS,
    ]
    .concat()
    .into_iter()
    .collect();
    let mutations = [
        POLICIES,
        RIGHTS,
        KEYS,
        SEAL,
        ENTER,
        LIVENESS,
        PEOPLE,
        DEPLOYED,
        INSIDE,
        TRAIL,
        REQUESTS,
        RESIDUE,
        MAIL,
        PROVISIONING,
    ]
    .concat();
    let only = std::env::var("ROWHOUSE_MUTANTS").unwrap_or_default();
    let mutations: Vec<Mutation> = mutations
        .into_iter()
        .filter(|(piece, _, _)| piece.contains(&only))
        .collect();
    let killers: BTreeSet<&str> = mutations.iter().map(|(_, _, killer)| *killer).collect();

    let mut fine = true;
    let whole: Vec<(&str, Result<(), String>)> = stream::iter(killers)
        .map(async |killer| (killer, run(checks[killer], None).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (killer, outcome) in whole {
        if let Err(said) = outcome {
            fine = false;
            eprintln!("RED IN A WHOLE WORLD  {killer}: {}", first_line(&said));
        }
    }
    let outcomes: Vec<(Mutation, Result<(), String>)> = stream::iter(mutations)
        .map(async |mutation| (mutation, run(checks[mutation.2], Some(mutation.1)).await))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let total = outcomes.len();
    let mut killed = 0;
    for ((piece, _, killer), outcome) in outcomes {
        match outcome {
            Err(said) if said.contains("HOLE") => {
                killed += 1;
                eprintln!(
                    "killed    {piece:<52} {killer}\n          {:<52} {}",
                    "",
                    first_line(&said)
                );
            }
            Err(said) => eprintln!("BROKEN    {piece:<52} {killer}\n          {said}"),
            Ok(()) => eprintln!("SURVIVED  {piece:<52} {killer}"),
        }
    }
    eprintln!("{killed} of {total} pieces were missed when they were gone");
    fine && killed == total
}

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--ignored") {
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    // What a check says goes into the table.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let fine = runtime.block_on(all());
    eprintln!("{} s", begun.elapsed().as_secs());
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
