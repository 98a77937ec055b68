//! Who may do what inside a tenant, and what runs of it.

use super::Mutation;

pub const INSIDE: &[Mutation] = &[
    (
        "two tickets: an owner is compared without his tenant",
        "select pg_temp.edit_policy('rowhouse.resources', 'reading', 'rowhouse.pair(tenant_id, owner_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])', 'owner_id = ANY (( SELECT rowhouse.caller_principals() AS caller_principals)::uuid[])')",
        "two_tickets_show_no_more_in_a_cursor",
    ),
    (
        "two tickets: a project is compared without its tenant",
        "select pg_temp.edit_policy('rowhouse.resources', 'project_floor', 'rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])', 'project_id = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[])'); alter policy reading on rowhouse.resources using (visibility <> 'private')",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "two tickets: a role is asked without its tenant",
        "alter policy managers on rowhouse.invitations using ((select rowhouse.caller_role()) = any ('{owner,admin}'::text[]))",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "two tickets: an audience is compared without its tenant",
        "select pg_temp.edit_policy('rowhouse.resources', 'writing', 'rowhouse.pair(tenant_id, audience) = ANY (( SELECT rowhouse.edits_inside() AS edits_inside)::text[])', 'audience = ANY (( SELECT rowhouse.caller_edits() AS caller_edits)::uuid[])'); select pg_temp.edit_policy('rowhouse.resources', 'reading', 'rowhouse.pair(tenant_id, owner_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])', 'owner_id = ANY (( SELECT rowhouse.caller_principals() AS caller_principals)::uuid[])')",
        "two_tickets_change_no_more_in_one_statement",
    ),
    (
        "two tickets: who may share is asked without the tenant",
        "select pg_temp.edit('rowhouse.may_share', 'r.tenant_id = tenant and', '')",
        "two_tickets_change_no_more_in_one_statement",
    ),
    (
        "two tickets: who reads the trail is asked without its tenant",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '(tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,', 'true = ( SELECT')",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "two tickets: whose deeds the trail tells is asked without the tenant",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '(tenant_id, actor_id) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,', 'actor_id = ( SELECT')",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "two tickets: a project of the trail is compared without its tenant",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', 'rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])', 'project_id = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[])')",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "two tickets: who sees what the trail tells of is asked without the tenant",
        "select pg_temp.edit('rowhouse.may_see', 'r.tenant_id = tenant and', '')",
        "two_tickets_show_no_more_in_a_loop",
    ),
    (
        "inside: who went is given something",
        "select pg_temp.edit('rowhouse_private.entry_received', 'p.deleted_at is null', 'true')",
        "an_entry_goes_with_whom_it_was_given_to",
    ),
    (
        "inside: what somebody was given waits for him to come back",
        "select pg_temp.edit('rowhouse_private.member_went', 'delete from rowhouse.resource_acl a where', 'delete from rowhouse.resource_acl a where false and')",
        "an_entry_goes_with_whom_it_was_given_to",
    ),
    (
        "inside: who was removed or demoted goes on sharing",
        "select pg_temp.edit('rowhouse_private.said_by_oneself', 'for share;
  if not found then
    raise exception ''the caller', 'for share;
  if false then
    raise exception ''the caller')",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "inside: who was removed or demoted hands on",
        "drop trigger said on rowhouse.resources",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "inside: a snapshot still has the entry that lets share",
        "select pg_temp.edit('rowhouse_private.refuse_snapshot', 'current_setting(''transaction_isolation'') = any', 'false and current_setting(''transaction_isolation'') = any')",
        "who_sees_it_goes_by_what_is_there_now",
    ),
    (
        "two tickets: what is deleted is stopped under whatever context",
        "select pg_temp.edit('rowhouse_private.resource_deleted', 'perform rowhouse_private.still_in(new.tenant_id);', '')",
        "two_tickets_change_no_more_in_one_statement",
    ),
    (
        "inside: what is deleted is stopped as far as its deleter sees",
        "alter function rowhouse_private.resource_deleted() security invoker; grant usage on schema rowhouse_private to rowhouse_app; grant execute on function rowhouse_private.still_in to rowhouse_app",
        "a_resource_that_its_deleter_sees_no_more_runs_nowhere",
    ),
    (
        "inside: who was demoted enters again while he shares",
        "drop trigger given on rowhouse.resource_acl; create trigger given after insert or update on rowhouse.resource_acl for each row execute function rowhouse_private.said_by_oneself()",
        "a_removed_manager_leaves_nothing_behind",
    ),
    (
        "inside: who was demoted goes on sharing",
        "select pg_temp.edit('rowhouse_private.said_by_oneself', 'l.role = rowhouse.caller_role()', 'true'), pg_temp.edit('rowhouse_private.said_by_oneself', '(l.role = any', '(true or l.role = any')",
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
        "select pg_temp.edit_policy('rowhouse.resources', 'writing', 'rowhouse.edits_inside()', 'rowhouse.audiences_inside()')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: a reader's entry lets change",
        "select pg_temp.edit_policy('rowhouse.resources', 'writing', '{write,admin}', '{read,write,admin}')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: entries are for everybody",
        "select pg_temp.edit_policy('rowhouse.resources', 'reading', '(a.principal_id = ANY', '(true or a.principal_id = ANY', '(rowhouse.pair(a.tenant_id, a.principal_id) = ANY', '(true or rowhouse.pair(a.tenant_id, a.principal_id) = ANY')",
        "what_everybody_may_is_what_the_model_says",
    ),
    (
        "inside: anything is put anywhere",
        "alter policy making on rowhouse.resources with check (true)",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: put into any workspace",
        "select pg_temp.edit_policy('rowhouse.resources', 'making', 'rowhouse.may_use_workspace(tenant_id, workspace_id)', 'true')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: put into any team",
        "select pg_temp.edit_policy('rowhouse.resources', 'making', '(rowhouse.pair(tenant_id, team_id) = ANY', '(true or rowhouse.pair(tenant_id, team_id) = ANY')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: whoever is in a project edits it",
        "select pg_temp.edit('rowhouse.edits_inside', 'rowhouse.pairs(5)', 'rowhouse.pairs(3)')",
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
        "who_sees_it_is_for_its_administrators_to_say",
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
        "select pg_temp.edit('rowhouse_private.resource_shared', 'not rowhouse.may_use_workspace(new.tenant_id, new.workspace_id)', 'false')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
    (
        "inside: moved to any team",
        "select pg_temp.edit('rowhouse_private.resource_shared', 'new.team_id = any (rowhouse.caller_principals())', 'true')",
        "nothing_is_put_where_the_caller_does_not_belong",
    ),
];

pub const DEPLOYED: &[Mutation] = &[
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
