//! The wall itself: floors, rights, keys.

use super::Mutation;

pub const POLICIES: &[Mutation] = &[
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

pub const RIGHTS: &[Mutation] = &[
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

pub const KEYS: &[Mutation] = &[
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
