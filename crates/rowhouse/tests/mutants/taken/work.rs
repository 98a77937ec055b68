//! What is done for a tenant, and what is written of it: provisioning, mail, requests, the trail.

use super::Mutation;

pub const PROVISIONING: &[Mutation] = &[
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

pub const MAIL: &[Mutation] = &[
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
        "a mail is noted before its job is locked",
        "select pg_temp.edit('rowhouse.note_mail', 'j.id = mail for update', 'j.id = mail')",
        "who_notes_a_mail_and_who_takes_it_again_do_not_wait_for_each_other",
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

pub const REQUESTS: &[Mutation] = &[
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

pub const TRAIL: &[Mutation] = &[
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
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', 'rowhouse.may_see(tenant_id, resource_id)', 'true')",
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
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '(tenant_id, actor_id) =', '(tenant_id, null::uuid) =')",
        "ones_own_deeds_one_reads_wherever_they_were",
    ),
    (
        "read: one's own deeds are all members'",
        "select pg_temp.edit_policy('rowhouse.audit_log', 'reading', '((tenant_id, actor_id) =', '(actor_id = any ((select rowhouse.caller_principals())::uuid[]) or (tenant_id, actor_id) =')",
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
