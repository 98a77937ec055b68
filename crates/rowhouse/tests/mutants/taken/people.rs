//! Who is who: liveness, members, invitations, sessions.

use super::Mutation;

pub const LIVENESS: &[Mutation] = &[
    (
        "triggers go on under another context",
        "select pg_temp.edit('rowhouse_private.still_in', 'tenant is distinct from rowhouse.current_tenant()', 'false')",
        "a_context_changed_under_a_trigger_locks_nobody_out",
    ),
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
        "a snapshot from before lets in who was removed",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'and not pg_is_in_recovery()', 'and current_setting(''transaction_read_only'') = ''on''')",
        "a_snapshot_from_before_lets_nobody_in",
    ),
    (
        "a snapshot from before lets in whoever only reads",
        "select pg_temp.edit('rowhouse_private.enter_closely', 'and not pg_is_in_recovery()', 'and current_setting(''transaction_read_only'') = ''off''')",
        "a_snapshot_from_before_lets_nobody_in",
    ),
    (
        "an address is invited twice",
        "select pg_temp.edit('rowhouse.invite', 'lower(i.email) = lower(invite.email)', 'false')",
        "an_address_has_one_invitation",
    ),
    (
        "who was removed comes back by an invitation",
        "select pg_temp.edit('rowhouse_private.member_went', 'and lower(i.email) = (select', 'and false and lower(i.email) = (select')",
        "an_address_has_one_invitation",
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

pub const PEOPLE: &[Mutation] = &[
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
        "select pg_temp.edit('rowhouse_private.managed_by_caller', '= coalesce(rowhouse_private.current_credential(), l.credential_id)', '= l.credential_id')",
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
        "select pg_temp.edit_policy('rowhouse.user_project_roles', 'project_admins', 'rowhouse.administers_inside()', 'rowhouse.edits_inside()')",
        "a_projects_admin_says_who_is_in_it",
    ),
    (
        "projects: an admin of one is one of all",
        "select pg_temp.edit_policy('rowhouse.user_project_roles', 'project_admins', '(rowhouse.pair(tenant_id, project_id) = ANY', '(cardinality(rowhouse.caller_administers()) > 0 or rowhouse.pair(tenant_id, project_id) = ANY'), pg_temp.edit('rowhouse_private.managed_by_caller', 'in_project = any (l.administers)', 'cardinality(l.administers) > 0')",
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
