-- Generated from the catalogue by tests/it/schema.rs: what the migrations make, on one page. Not to be run.

table rowhouse.api_keys  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  name text not null
  prefix text not null
  digest bytea not null
  secret_hash text not null
  permissions jsonb not null default '["read"]'::jsonb
  scopes jsonb not null default '{}'::jsonb
  environment text not null default 'PRODUCTION'::text
  expires_at timestamp with time zone
  revoked_at timestamp with time zone
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint api_keys_environment CHECK ((environment = ANY (ARRAY['SANDBOX'::text, 'PRODUCTION'::text])))
  constraint api_keys_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint api_keys_pkey PRIMARY KEY (tenant_id, id)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger key_changed -> rowhouse_private.key_changed
  trigger touch -> rowhouse_private.touch
  grant insert, select (tenant_id, id, name, prefix, permissions, scopes, environment, expires_at, revoked_at, created_at, updated_at), update (name, permissions, scopes, expires_at, revoked_at) to rowhouse_app
  grant select to rowhouse_definer
  grant insert, select (tenant_id, id, name, prefix, permissions, scopes, environment, expires_at, revoked_at, created_at, updated_at), update (name, permissions, scopes, expires_at, revoked_at) to rowhouse_platform

table rowhouse.audit_log  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  actor_id uuid not null default rowhouse.current_principal()
  on_behalf_of uuid
  action text not null
  object_id uuid
  workspace_id uuid
  project_id uuid
  resource_id uuid
  request_id text
  detail jsonb not null default '{}'::jsonb
  created_at timestamp with time zone not null default clock_timestamp()
  seal bigint
  constraint audit_log_action_is_short CHECK ((octet_length(action) <= 100))
  constraint audit_log_detail_is_short CHECK ((octet_length((detail)::text) <= 65536))
  constraint audit_log_request_id_is_short CHECK ((octet_length(request_id) <= 500))
  constraint audit_log_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint audit_log_pkey PRIMARY KEY (tenant_id, id)
  INDEX audit_log_by_seal btree (tenant_id, seal)
  INDEX audit_log_by_time btree (tenant_id, created_at DESC, id DESC)
  INDEX audit_log_unsealed btree (tenant_id, created_at, id) WHERE (seal IS NULL)
  policy adding permissive for insert to rowhouse_app
      check true
  policy reading permissive for select to rowhouse_app
      using (((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin,tenant,job}'::text[])))) OR ((tenant_id, actor_id) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, rowhouse.current_principal() AS current_principal)) OR (((project_id IS NULL) OR (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[]))) AND ((resource_id IS NULL) OR rowhouse.may_see(tenant_id, resource_id))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true))
  grant insert (tenant_id, id, action, object_id, workspace_id, project_id, resource_id, request_id, detail), select to rowhouse_app
  grant insert (tenant_id, id, action, object_id, workspace_id, project_id, resource_id, request_id, detail), select, update (seal) to rowhouse_definer
  grant insert (tenant_id, id, on_behalf_of, action, object_id, workspace_id, project_id, resource_id, request_id, detail), select to rowhouse_platform

table rowhouse.audit_seals  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  number bigint not null
  rows integer not null
  digest bytea not null
  created_at timestamp with time zone not null default clock_timestamp()
  constraint audit_seals_digest_sha256 CHECK ((octet_length(digest) = 32))
  constraint audit_seals_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint audit_seals_pkey PRIMARY KEY (tenant_id, number)
  policy inside permissive for select to rowhouse_app
      using true
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  grant select to rowhouse_app
  grant insert, select to rowhouse_definer
  grant select to rowhouse_platform

table rowhouse.deployments  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  resource_id uuid not null
  project_id uuid
  environment text not null
  status text not null default 'pending'::text
  created_by uuid not null default rowhouse.current_principal()
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint deployments_environment CHECK ((environment = ANY (ARRAY['SANDBOX'::text, 'PRODUCTION'::text])))
  constraint deployments_status CHECK ((status = ANY (ARRAY['pending'::text, 'active'::text, 'stopped'::text, 'failed'::text])))
  constraint deployments_creator FOREIGN KEY (tenant_id, created_by) REFERENCES rowhouse.principals(tenant_id, id)
  constraint deployments_project FOREIGN KEY (tenant_id, project_id) REFERENCES rowhouse.projects(tenant_id, id)
  constraint deployments_resource FOREIGN KEY (tenant_id, resource_id) REFERENCES rowhouse.resources(tenant_id, id)
  constraint deployments_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint deployments_pkey PRIMARY KEY (tenant_id, id)
  INDEX deployments_by_age btree (tenant_id, created_at DESC, id DESC)
  UNIQUE INDEX deployments_place btree (tenant_id, resource_id, environment) WHERE (deleted_at IS NULL)
  policy by_resource permissive for all to rowhouse_app
      using rowhouse.may_see(tenant_id, resource_id)
      check rowhouse.may_see(tenant_id, resource_id)
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger deployment_changed -> rowhouse_private.deployment_changed
  trigger deployment_placed -> rowhouse_private.deployment_placed
  trigger touch -> rowhouse_private.touch
  grant insert (tenant_id, id, resource_id, environment), select, update (status, deleted_at) to rowhouse_app
  grant select, update (project_id, status) to rowhouse_definer
  grant select to rowhouse_platform

table rowhouse.idempotency_keys  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  principal_id uuid not null default rowhouse.current_principal()
  key text not null
  request bytea not null
  status smallint
  answer jsonb
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint idempotency_keys_length CHECK (((octet_length(key) >= 1) AND (octet_length(key) <= 255)))
  constraint idempotency_keys_sha256 CHECK ((octet_length(request) = 32))
  constraint idempotency_keys_principal FOREIGN KEY (tenant_id, principal_id) REFERENCES rowhouse.principals(tenant_id, id)
  constraint idempotency_keys_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint idempotency_keys_pkey PRIMARY KEY (tenant_id, principal_id, key)
  INDEX idempotency_keys_by_age btree (tenant_id, principal_id, created_at)
  policy inside permissive for all to rowhouse_app
      using true
      check true
  policy own_floor restrictive for all to public
      using ((tenant_id, principal_id) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, rowhouse.current_principal() AS current_principal))
      check ((tenant_id, principal_id) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, rowhouse.current_principal() AS current_principal))
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger touch -> rowhouse_private.touch
  grant delete, insert (tenant_id, key, request), select, update (status, answer) to rowhouse_app

table rowhouse.invitations  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  email text not null
  role text not null
  digest bytea not null
  invited_by uuid not null default rowhouse.current_principal()
  expires_at timestamp with time zone not null
  revoked_at timestamp with time zone
  accepted_at timestamp with time zone
  accepted_by uuid
  mail_id uuid not null
  mail text not null default 'queued'::text
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint invitations_by_whom CHECK (((accepted_at IS NULL) = (accepted_by IS NULL)))
  constraint invitations_digest_sha256 CHECK ((octet_length(digest) = 32))
  constraint invitations_email_in_one_form CHECK (((email IS NFKC NORMALIZED) AND (strpos(email, chr(304)) = 0)))
  constraint invitations_end CHECK ((expires_at <= (created_at + '720:00:00'::interval)))
  constraint invitations_mail CHECK ((mail = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text])))
  constraint invitations_role CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'member'::text, 'viewer'::text])))
  constraint invitations_used_once CHECK (((accepted_at IS NULL) OR (revoked_at IS NULL)))
  constraint invitations_accepter FOREIGN KEY (tenant_id, accepted_by) REFERENCES rowhouse.principals(tenant_id, id)
  constraint invitations_inviter FOREIGN KEY (tenant_id, invited_by) REFERENCES rowhouse.principals(tenant_id, id)
  constraint invitations_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint invitations_pkey PRIMARY KEY (tenant_id, id)
  INDEX invitations_by_age btree (tenant_id, created_at DESC, id DESC)
  INDEX invitations_by_mail btree (tenant_id, mail_id)
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger invitation_changed -> rowhouse_private.invitation_changed
  trigger touch -> rowhouse_private.touch
  grant select (tenant_id, id, email, role, invited_by, expires_at, revoked_at, accepted_at, accepted_by, mail, created_at, updated_at), update (revoked_at) to rowhouse_app
  grant insert, select, update (revoked_at, accepted_at, accepted_by, mail, updated_at) to rowhouse_definer
  grant select (tenant_id, id, email, role, invited_by, expires_at, revoked_at, accepted_at, accepted_by, mail, created_at, updated_at), update (revoked_at) to rowhouse_platform

table rowhouse.jobs  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null
  kind text not null
  id uuid not null
  due_at timestamp with time zone not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint jobs_kind CHECK ((kind = ANY (ARRAY['mail'::text, 'provision'::text])))
  constraint jobs_pkey PRIMARY KEY (tenant_id, kind, id)
  INDEX jobs_due btree (kind, due_at)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger touch -> rowhouse_private.touch
  grant delete, insert, select, update (due_at) to rowhouse_definer
  grant delete, select, update (due_at) to rowhouse_platform

table rowhouse.locator  -- owner rowhouse_owner, row security, forced
  kind text not null
  digest bytea not null
  tenant_id uuid
  id uuid not null
  principal_id uuid
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint locator_digest_sha256 CHECK ((octet_length(digest) = 32))
  constraint locator_kind CHECK ((kind = ANY (ARRAY['slug'::text, 'email'::text, 'key'::text, 'session'::text, 'invitation'::text, 'link'::text])))
  constraint locator_pkey PRIMARY KEY (kind, digest)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  grant insert, select, update (updated_at) to rowhouse_definer
  grant select to rowhouse_platform

table rowhouse.managed_tables  -- owner rowhouse_owner, row security, forced
  schema_name text not null
  table_name text not null
  class text not null
  mode text not null
  project_column text
  floors name[] not null default '{}'::name[]
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint managed_tables_class CHECK ((class = ANY (ARRAY['admin'::text, 'content'::text, 'shared'::text])))
  constraint managed_tables_mode CHECK ((mode = ANY (ARRAY['off'::text, 'shadow'::text, 'enforce'::text])))
  constraint managed_tables_pkey PRIMARY KEY (schema_name, table_name)
  policy anyone permissive for select to rowhouse_app
      using true
  policy owner permissive for all to rowhouse_owner
      using true
      check true
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  grant select to rowhouse_app
  grant select to rowhouse_platform

table rowhouse.operator_requests  -- owner rowhouse_owner, row security, forced
  operator_id uuid not null
  key text not null
  request bytea not null
  status smallint
  answer jsonb
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint operator_requests_length CHECK (((octet_length(key) >= 1) AND (octet_length(key) <= 255)))
  constraint operator_requests_sha256 CHECK ((octet_length(request) = 32))
  constraint operator_requests_operator FOREIGN KEY (operator_id) REFERENCES rowhouse.operator_tokens(id)
  constraint operator_requests_pkey PRIMARY KEY (operator_id, key)
  INDEX operator_requests_by_age btree (operator_id, created_at)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger touch -> rowhouse_private.touch
  grant delete, insert (operator_id, key, request), select, update (status, answer) to rowhouse_platform

table rowhouse.operator_tokens  -- owner rowhouse_owner, row security, forced
  id uuid not null
  name text not null
  digest bytea not null
  expires_at timestamp with time zone
  last_used_at timestamp with time zone
  revoked_at timestamp with time zone
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint operator_tokens_pkey PRIMARY KEY (id)
  constraint operator_tokens_digest UNIQUE (digest)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger touch -> rowhouse_private.touch
  grant insert, select, update (name, expires_at, last_used_at, revoked_at, updated_at) to rowhouse_platform

table rowhouse.outbox  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  recipient text not null
  subject text not null
  text text
  token text
  status text not null default 'queued'::text
  attempts integer not null default 0
  last_error text
  sent_at timestamp with time zone
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint outbox_recipient_is_an_address CHECK ((((octet_length(recipient) >= 3) AND (octet_length(recipient) <= 254)) AND (recipient ~~ '_%@_%'::text) AND ((recipient COLLATE "C") !~ '[\x01-\x20\x7f<>,;"]'::text)))
  constraint outbox_status CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text])))
  constraint outbox_subject_is_a_line CHECK ((((octet_length(subject) >= 1) AND (octet_length(subject) <= 2000)) AND ((subject COLLATE "C") !~ '[\x01-\x1f\x7f]'::text)))
  constraint outbox_text_length CHECK ((octet_length(text) <= 100000))
  constraint outbox_text_while_queued CHECK (((status = 'queued'::text) = (text IS NOT NULL)))
  constraint outbox_token_while_queued CHECK (((token IS NULL) OR (status = 'queued'::text)))
  constraint outbox_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint outbox_pkey PRIMARY KEY (tenant_id, id)
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger mail_queued -> rowhouse_private.mail_queued
  trigger touch -> rowhouse_private.touch
  grant insert (tenant_id, id, recipient, subject, text, token), select, update (text, token, status, attempts, last_error, sent_at) to rowhouse_definer
  grant insert (tenant_id, id, recipient, subject, text) to rowhouse_platform

table rowhouse.persona_mappings  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  api_key_id uuid not null
  persona_id uuid not null
  name text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint persona_mappings_speaker FOREIGN KEY (tenant_id, api_key_id) REFERENCES rowhouse.api_keys(tenant_id, id)
  constraint persona_mappings_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint persona_mappings_pkey PRIMARY KEY (tenant_id, id)
  constraint persona_mappings_once UNIQUE (tenant_id, api_key_id, persona_id)
  INDEX persona_mappings_by_age btree (tenant_id, created_at DESC, id DESC)
  INDEX persona_mappings_by_persona btree (tenant_id, persona_id, created_at DESC, id DESC)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger persona_changed -> rowhouse_private.persona_changed
  trigger touch -> rowhouse_private.touch
  grant delete, insert (tenant_id, id, api_key_id, persona_id, name), select, update (name) to rowhouse_app
  grant delete, insert (tenant_id, id, api_key_id, persona_id, name), select, update (name) to rowhouse_platform

table rowhouse.platform_audit  -- owner rowhouse_owner, row security, forced
  id uuid not null
  operator_id uuid
  operator text not null
  action text not null
  tenant_id uuid
  request_id text
  detail jsonb not null default '{}'::jsonb
  created_at timestamp with time zone not null default now()
  constraint platform_audit_pkey PRIMARY KEY (id)
  INDEX platform_audit_by_tenant btree (tenant_id, created_at DESC)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  grant insert, select to rowhouse_platform

table rowhouse.principals  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  kind text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint principals_kind CHECK ((kind = ANY (ARRAY['user'::text, 'team'::text, 'tenant'::text, 'key'::text, 'share'::text, 'link'::text, 'system'::text, 'job'::text])))
  constraint principals_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint principals_pkey PRIMARY KEY (tenant_id, id)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger principal_added -> rowhouse_private.principal_added
  trigger touch -> rowhouse_private.touch
  grant select to rowhouse_app
  grant insert, select, update to rowhouse_definer
  grant select to rowhouse_platform

table rowhouse.probes  -- owner rowhouse_owner, row security, forced
  id uuid not null
  verdict text not null
  attempts integer not null
  leaks integer not null
  not_tried integer not null
  seconds double precision not null
  catalogue_hash text not null
  server_version text not null
  detail jsonb not null default '{}'::jsonb
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint probes_verdict CHECK ((verdict = ANY (ARRAY['held'::text, 'leak'::text])))
  constraint probes_pkey PRIMARY KEY (id)
  INDEX probes_by_age btree (created_at DESC, id DESC)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger touch -> rowhouse_private.touch
  grant select to rowhouse_platform

table rowhouse.projects  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  name text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint projects_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint projects_pkey PRIMARY KEY (tenant_id, id)
  UNIQUE INDEX projects_name btree (tenant_id, name) WHERE (deleted_at IS NULL)
  policy inside permissive for select to rowhouse_app
      using (((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() <> 'key'::text))) OR (rowhouse.pair(tenant_id, id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger projects_added -> rowhouse_private.projects_changed
  trigger projects_changed -> rowhouse_private.projects_changed
  trigger projects_deleted -> rowhouse_private.project_deleted
  trigger touch -> rowhouse_private.touch
  grant insert, select, update (name, deleted_at) to rowhouse_app
  grant select to rowhouse_definer
  grant insert, select, update (name, deleted_at) to rowhouse_platform

table rowhouse.provisioning_runs  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  admin_email text
  done text[] not null default '{}'::text[]
  status text not null default 'running'::text
  attempts integer not null default 0
  last_error text
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint provisioning_runs_error_is_a_code CHECK ((last_error ~ '^[a-z-]{1,50}$'::text))
  constraint provisioning_runs_status CHECK ((status = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text])))
  constraint provisioning_runs_steps CHECK ((done <@ '{workspace,project,roles,quotas,storage,invitation}'::text[]))
  constraint provisioning_runs_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint provisioning_runs_pkey PRIMARY KEY (tenant_id)
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger provisioning_resumed -> rowhouse_private.provisioning_started
  trigger provisioning_started -> rowhouse_private.provisioning_started
  trigger touch -> rowhouse_private.touch
  grant insert (tenant_id, admin_email), select, update (done, status, attempts, last_error) to rowhouse_platform

table rowhouse.quotas  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  name text not null
  amount bigint not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint quotas_amount CHECK ((amount >= 0))
  constraint quotas_name CHECK ((name = ANY (ARRAY['members'::text, 'projects'::text, 'keys'::text, 'resources'::text, 'storage_bytes'::text])))
  constraint quotas_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint quotas_pkey PRIMARY KEY (tenant_id, name)
  policy inside permissive for select to rowhouse_app
      using true
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger touch -> rowhouse_private.touch
  grant select to rowhouse_app
  grant insert (tenant_id, name, amount), select, update (amount) to rowhouse_platform

table rowhouse.resource_acl  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  resource_id uuid not null
  principal_id uuid not null
  access text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint resource_acl_access CHECK ((access = ANY (ARRAY['read'::text, 'write'::text, 'admin'::text])))
  constraint resource_acl_principal FOREIGN KEY (tenant_id, principal_id) REFERENCES rowhouse.principals(tenant_id, id)
  constraint resource_acl_resource FOREIGN KEY (tenant_id, resource_id) REFERENCES rowhouse.resources(tenant_id, id)
  constraint resource_acl_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint resource_acl_pkey PRIMARY KEY (tenant_id, resource_id, principal_id)
  INDEX resource_acl_by_principal btree (tenant_id, principal_id, resource_id)
  policy adding permissive for insert to rowhouse_app
      check rowhouse.may_share(tenant_id, resource_id)
  policy changing permissive for update to rowhouse_app
      using rowhouse.may_share(tenant_id, resource_id)
  policy going permissive for all to rowhouse_definer
      using true
      check false
  policy reading permissive for select to rowhouse_app
      using true
  policy removing permissive for delete to rowhouse_app
      using rowhouse.may_share(tenant_id, resource_id)
  policy shadow_open permissive for all to public
      using true
      check true
  policy tenant_floor restrictive for all to rowhouse_enforced
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to rowhouse_enforced
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to rowhouse_enforced
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger given -> rowhouse_private.said_by_oneself
  trigger received -> rowhouse_private.entry_received
  trigger touch -> rowhouse_private.touch
  grant delete, insert, select, update (access) to rowhouse_app
  grant delete, select (tenant_id, principal_id) to rowhouse_definer

table rowhouse.resources  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  type text not null
  title text not null
  payload jsonb not null default '{}'::jsonb
  visibility text not null default 'tenant'::text
  workspace_id uuid not null
  team_id uuid
  project_id uuid
  owner_id uuid not null default rowhouse.current_principal()
  audience uuid not null generated: 
CASE visibility
    WHEN 'tenant'::text THEN tenant_id
    WHEN 'team'::text THEN COALESCE(team_id, owner_id)
    WHEN 'project'::text THEN COALESCE(project_id, owner_id)
    ELSE owner_id
END
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint resources_type CHECK ((type = ANY (ARRAY['prompt'::text, 'collection'::text, 'model'::text, 'integration'::text, 'tag'::text])))
  constraint resources_visibility CHECK ((visibility = ANY (ARRAY['private'::text, 'team'::text, 'project'::text, 'tenant'::text])))
  constraint resources_visible_to_a_project CHECK (((visibility <> 'project'::text) OR (project_id IS NOT NULL)))
  constraint resources_visible_to_a_team CHECK (((visibility <> 'team'::text) OR (team_id IS NOT NULL)))
  constraint resources_owner FOREIGN KEY (tenant_id, owner_id) REFERENCES rowhouse.principals(tenant_id, id)
  constraint resources_project FOREIGN KEY (tenant_id, project_id) REFERENCES rowhouse.projects(tenant_id, id)
  constraint resources_team FOREIGN KEY (tenant_id, team_id) REFERENCES rowhouse.teams(tenant_id, id)
  constraint resources_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint resources_workspace FOREIGN KEY (tenant_id, workspace_id) REFERENCES rowhouse.workspaces(tenant_id, id)
  constraint resources_pkey PRIMARY KEY (tenant_id, id)
  INDEX resources_by_audience btree (tenant_id, audience, updated_at DESC NULLS LAST, id DESC NULLS LAST)
  INDEX resources_by_owner btree (tenant_id, owner_id, updated_at DESC NULLS LAST, id DESC NULLS LAST)
  INDEX resources_by_type btree (tenant_id, type, audience, updated_at DESC NULLS LAST, id DESC NULLS LAST)
  INDEX resources_by_update btree (tenant_id, updated_at DESC, id DESC)
  INDEX resources_by_visibility btree (tenant_id, visibility, audience, updated_at DESC NULLS LAST, id DESC NULLS LAST)
  INDEX resources_by_workspace btree (tenant_id, workspace_id, audience, updated_at DESC NULLS LAST, id DESC NULLS LAST)
  policy making permissive for insert to rowhouse_app
      check ((rowhouse.may_use_workspace(tenant_id, workspace_id) AND ((project_id IS NULL) OR (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.edits_inside() AS edits_inside)::text[]))) AND ((team_id IS NULL) OR (rowhouse.pair(tenant_id, team_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])))) OR ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = 'job'::text))))
  policy project_floor restrictive for all to rowhouse_enforced
      using ((project_id IS NULL) OR (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))
      check ((project_id IS NULL) OR (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))
  policy reading permissive for select to rowhouse_app
      using ((rowhouse.pair(tenant_id, audience) = ANY (( SELECT rowhouse.audiences_inside() AS audiences_inside)::text[])) OR (rowhouse.pair(tenant_id, owner_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])) OR (EXISTS ( SELECT FROM rowhouse.resource_acl a WHERE ((a.tenant_id = resources.tenant_id) AND (a.resource_id = resources.id) AND (a.principal_id = ANY (( SELECT rowhouse.ids(4) AS ids)::uuid[])) AND (rowhouse.pair(a.tenant_id, a.principal_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[]))))) OR ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = 'job'::text))))
  policy shadow_open permissive for all to public
      using true
      check true
  policy tenant_floor restrictive for all to rowhouse_enforced
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to rowhouse_enforced
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to rowhouse_enforced
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy writing permissive for update to rowhouse_app
      using ((rowhouse.pair(tenant_id, owner_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])) OR (rowhouse.pair(tenant_id, audience) = ANY (( SELECT rowhouse.edits_inside() AS edits_inside)::text[])) OR (EXISTS ( SELECT FROM rowhouse.resource_acl a WHERE ((a.tenant_id = resources.tenant_id) AND (a.resource_id = resources.id) AND (a.principal_id = ANY (( SELECT rowhouse.ids(4) AS ids)::uuid[])) AND (rowhouse.pair(a.tenant_id, a.principal_id) = ANY (( SELECT rowhouse.principals_inside() AS principals_inside)::text[])) AND (a.access = ANY ('{write,admin}'::text[]))))) OR ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = 'job'::text))))
      check true
  trigger deployments_moved -> rowhouse_private.resource_moved
  trigger deployments_stopped -> rowhouse_private.resource_deleted
  trigger said -> rowhouse_private.said_by_oneself
  trigger shared -> rowhouse_private.resource_shared
  trigger touch -> rowhouse_private.touch
  grant insert (tenant_id, id, type, title, payload, visibility, workspace_id, team_id, project_id), select, update (type, title, payload, visibility, workspace_id, team_id, project_id, owner_id, updated_at, deleted_at) to rowhouse_app

table rowhouse.schema_history  -- owner rowhouse_owner
  version integer not null
  name character varying(255)
  applied_on character varying(255)
  checksum character varying(255)
  constraint schema_history_pkey PRIMARY KEY (version)
  grant select to rowhouse_app
  grant select to rowhouse_platform

table rowhouse.sessions  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  user_id uuid not null
  digest bytea not null
  only_here boolean not null default false
  expires_at timestamp with time zone not null
  revoked_at timestamp with time zone
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint sessions_digest_sha256 CHECK ((octet_length(digest) = 32))
  constraint sessions_end CHECK ((expires_at <= (created_at + '720:00:00'::interval)))
  constraint sessions_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint sessions_user FOREIGN KEY (tenant_id, user_id) REFERENCES rowhouse.principals(tenant_id, id)
  constraint sessions_pkey PRIMARY KEY (tenant_id, id)
  INDEX sessions_by_age btree (tenant_id, created_at DESC, id DESC)
  INDEX sessions_by_user btree (tenant_id, user_id, created_at DESC, id DESC)
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy own permissive for select to rowhouse_app
      using ((tenant_id, user_id) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, rowhouse.current_user_id() AS current_user_id))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger touch -> rowhouse_private.touch
  grant select (tenant_id, id, user_id, only_here, expires_at, revoked_at, created_at, updated_at) to rowhouse_app
  grant insert, select, update (revoked_at, updated_at) to rowhouse_definer
  grant select (tenant_id, id, user_id, only_here, expires_at, revoked_at, created_at, updated_at) to rowhouse_platform

table rowhouse.team_members  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  team_id uuid not null
  user_id uuid not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint team_members_member FOREIGN KEY (tenant_id, user_id) REFERENCES rowhouse.tenant_members(tenant_id, user_id)
  constraint team_members_team FOREIGN KEY (tenant_id, team_id) REFERENCES rowhouse.teams(tenant_id, id)
  constraint team_members_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint team_members_pkey PRIMARY KEY (tenant_id, team_id, user_id)
  INDEX team_members_by_user btree (tenant_id, user_id)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger team_members_changed -> rowhouse_private.membership_changed
  trigger touch -> rowhouse_private.touch
  grant delete, insert, select to rowhouse_app
  grant delete, select to rowhouse_definer
  grant delete, insert, select to rowhouse_platform

table rowhouse.teams  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  name text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint teams_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint teams_pkey PRIMARY KEY (tenant_id, id)
  UNIQUE INDEX teams_name btree (tenant_id, name) WHERE (deleted_at IS NULL)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger team_changed -> rowhouse_private.team_changed
  trigger touch -> rowhouse_private.touch
  grant insert, select, update (name, deleted_at) to rowhouse_app
  grant select to rowhouse_definer
  grant insert, select, update (name, deleted_at) to rowhouse_platform

table rowhouse.tenant_configs  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  key text not null
  value jsonb not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint tenant_configs_key_form CHECK ((key ~ '^[a-z][a-z0-9_.]{0,99}$'::text))
  constraint tenant_configs_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint tenant_configs_pkey PRIMARY KEY (tenant_id, key)
  policy inside permissive for select to rowhouse_app
      using true
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger touch -> rowhouse_private.touch
  grant select to rowhouse_app
  grant insert (tenant_id, key, value), select, update (value) to rowhouse_platform

table rowhouse.tenant_members  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  user_id uuid not null
  role text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint tenant_members_role CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'member'::text, 'viewer'::text])))
  constraint tenant_members_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint tenant_members_user FOREIGN KEY (user_id) REFERENCES rowhouse.users(id)
  constraint tenant_members_pkey PRIMARY KEY (tenant_id, user_id)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger member_changed -> rowhouse_private.member_changed
  trigger member_went -> rowhouse_private.member_went
  trigger touch -> rowhouse_private.touch
  grant delete, select, update (role) to rowhouse_app
  grant delete, insert, select to rowhouse_definer
  grant delete, select, update (role) to rowhouse_platform

table rowhouse.tenants  -- owner rowhouse_owner, row security, forced
  id uuid not null
  slug text not null
  name text not null
  kind text not null
  plan text not null default 'free'::text
  status text not null default 'active'::text
  data_region text
  placement text not null default 'here'::text
  branding jsonb not null default '{}'::jsonb
  flags jsonb not null default '{}'::jsonb
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint tenants_kind CHECK ((kind = ANY (ARRAY['personal'::text, 'organization'::text])))
  constraint tenants_plan CHECK ((plan = ANY (ARRAY['free'::text, 'team'::text, 'business'::text, 'enterprise'::text])))
  constraint tenants_status CHECK ((status = ANY (ARRAY['provisioning'::text, 'active'::text, 'suspended'::text, 'deleting'::text, 'deleted'::text])))
  constraint tenants_pkey PRIMARY KEY (id)
  INDEX tenants_by_age btree (created_at DESC, id DESC)
  policy bound_one permissive for select to rowhouse_app
      using (rowhouse.floor_first() AND ((id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger tenant_changed -> rowhouse_private.tenant_changed
  trigger touch -> rowhouse_private.touch
  grant select to rowhouse_app
  grant insert, select to rowhouse_definer
  grant insert, select, update (slug, name, kind, plan, status, data_region, placement, branding, flags, updated_at, deleted_at) to rowhouse_platform

table rowhouse.user_project_roles  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  project_id uuid not null
  user_id uuid not null
  role text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint user_project_roles_role CHECK ((role = ANY (ARRAY['admin'::text, 'editor'::text, 'viewer'::text])))
  constraint user_project_roles_member FOREIGN KEY (tenant_id, user_id) REFERENCES rowhouse.tenant_members(tenant_id, user_id)
  constraint user_project_roles_project FOREIGN KEY (tenant_id, project_id) REFERENCES rowhouse.projects(tenant_id, id)
  constraint user_project_roles_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint user_project_roles_pkey PRIMARY KEY (tenant_id, project_id, user_id)
  INDEX user_project_roles_by_user btree (tenant_id, user_id)
  policy inside permissive for select to rowhouse_app
      using (((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() <> 'key'::text))) OR (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy project_admins permissive for all to rowhouse_app
      using (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.administers_inside() AS administers_inside)::text[]))
      check (rowhouse.pair(tenant_id, project_id) = ANY (( SELECT rowhouse.administers_inside() AS administers_inside)::text[]))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger roles_changed -> rowhouse_private.membership_changed
  trigger touch -> rowhouse_private.touch
  grant delete, insert, select, update (role) to rowhouse_app
  grant delete, select to rowhouse_definer
  grant delete, insert, select, update (role) to rowhouse_platform

table rowhouse.users  -- owner rowhouse_owner, row security, forced
  id uuid not null
  email text not null
  name text not null
  home_tenant_id uuid
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint users_email_in_one_form CHECK (((email IS NFKC NORMALIZED) AND (strpos(email, chr(304)) = 0)))
  constraint users_home_tenant FOREIGN KEY (home_tenant_id) REFERENCES rowhouse.tenants(id)
  constraint users_pkey PRIMARY KEY (id)
  policy platform permissive for all to rowhouse_definer, rowhouse_migrator, rowhouse_platform
      using true
      check true
  trigger touch -> rowhouse_private.touch
  trigger user_changed -> rowhouse_private.user_changed
  grant insert (id, email, name), select, update (updated_at) to rowhouse_definer
  grant insert, select, update (email, name, home_tenant_id, updated_at, deleted_at) to rowhouse_platform

table rowhouse.workspaces  -- owner rowhouse_owner, row security, forced
  tenant_id uuid not null default rowhouse.default_tenant()
  id uuid not null
  kind text not null
  name text not null
  owner_id uuid
  team_id uuid
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint workspaces_kind CHECK ((kind = ANY (ARRAY['personal'::text, 'team'::text, 'tenant'::text])))
  constraint workspaces_of_whom CHECK ((((kind = 'personal'::text) = (owner_id IS NOT NULL)) AND ((kind = 'team'::text) = (team_id IS NOT NULL))))
  constraint workspaces_owner FOREIGN KEY (tenant_id, owner_id) REFERENCES rowhouse.principals(tenant_id, id)
  constraint workspaces_team FOREIGN KEY (tenant_id, team_id) REFERENCES rowhouse.teams(tenant_id, id)
  constraint workspaces_tenant FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)
  constraint workspaces_pkey PRIMARY KEY (tenant_id, id)
  policy inside permissive for select to rowhouse_app
      using true
  policy managers permissive for all to rowhouse_app
      using ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
      check ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, (rowhouse.caller_role() = ANY ('{owner,admin}'::text[]))))
  policy system permissive for all to rowhouse_definer, rowhouse_platform
      using true
      check true
  policy tenant_floor restrictive for all to public
      using (rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant, true)))
      check ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_delete restrictive for delete to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  policy tenant_floor_update restrictive for update to public
      using ((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant, true))
  trigger touch -> rowhouse_private.touch
  trigger workspace_changed -> rowhouse_private.workspace_changed
  grant insert, select, update (name, deleted_at) to rowhouse_app
  grant insert, select to rowhouse_definer
  grant insert, select, update (name, deleted_at) to rowhouse_platform

view rowhouse.org_members  -- owner rowhouse_owner, security_invoker=true
  org_id uuid
  user_id uuid
  role text
  created_at timestamp with time zone
  updated_at timestamp with time zone
  grant select to rowhouse_app
  grant select to rowhouse_platform

view rowhouse.organizations  -- owner rowhouse_owner, security_invoker=true
  id uuid
  slug text
  name text
  plan text
  status text
  created_at timestamp with time zone
  updated_at timestamp with time zone
  grant select to rowhouse_app
  grant select to rowhouse_platform

table rowhouse_private.drop_owned_fails_here  -- owner rowhouse_owner
  nothing text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint drop_owned_fails_here_pkey PRIMARY KEY (nothing)
  grant select (nothing) to rowhouse_app
  grant select (nothing) to rowhouse_enforced
  grant select (nothing) to rowhouse_mailer
  grant select (nothing) to rowhouse_platform
  grant select (nothing) to rowhouse_sealer
  grant select (nothing) to rowhouse_shadow

table rowhouse_private.key_uses  -- owner rowhouse_owner, fillfactor=50
  tenant_id uuid not null
  key_id uuid not null
  last_used_at timestamp with time zone not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint key_uses_pkey PRIMARY KEY (tenant_id, key_id)
  grant insert, select, update to rowhouse_definer

table rowhouse_private.keyring  -- owner rowhouse_owner
  single boolean not null default true
  ticket_head bytea not null
  ticket_key bytea not null
  seal_key bytea not null
  old_ticket_head bytea
  old_ticket_key bytea
  old_seal_key bytea
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint keyring_one_row CHECK (single)
  constraint keyring_seal_key_64_bytes CHECK ((octet_length(seal_key) = 64))
  constraint keyring_ticket_head_2_bytes CHECK ((octet_length(ticket_head) = 2))
  constraint keyring_ticket_key_64_bytes CHECK ((octet_length(ticket_key) = 64))
  constraint keyring_pkey PRIMARY KEY (single)
  grant insert, select, update to rowhouse_definer
  grant select (ticket_head, ticket_key) to rowhouse_sealer

table rowhouse_private.liveness  -- owner rowhouse_owner, fillfactor=80
  tenant_id uuid not null
  principal_id uuid not null
  credential_id uuid not null
  kind text not null
  own_state text not null default 'RH005'::text
  user_gone boolean not null default false
  expires_at timestamp with time zone not null default 'infinity'::timestamp with time zone
  access text not null default 'r'::text
  role text not null default 'none'::text
  user_id uuid
  projects uuid[] not null default '{}'::uuid[]
  principals uuid[] not null default '{}'::uuid[]
  edits uuid[] not null default '{}'::uuid[]
  administers uuid[] not null default '{}'::uuid[]
  packed text not null default ''::text
  packed_read text not null default ''::text
  state text not null generated: 
CASE
    WHEN user_gone THEN 'RH005'::text
    WHEN (own_state <> 'active'::text) THEN own_state
    WHEN (kind = 'system'::text) THEN 'system'::text
    ELSE 'active'::text
END
  tenant_text text not null generated: (tenant_id)::text
  user_text text not null generated: COALESCE((user_id)::text, ''::text)
  lookup bytea not null generated: ((uuid_send(tenant_id) || uuid_send(principal_id)) || uuid_send(credential_id))
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint liveness_pkey PRIMARY KEY (tenant_id, principal_id, credential_id)
  constraint liveness_lookup UNIQUE (lookup)
  INDEX liveness_by_user btree (user_id) WHERE (user_id IS NOT NULL)
  grant delete, insert, select, update to rowhouse_definer

table rowhouse_private.login_secret  -- owner rowhouse_owner
  single boolean not null default true
  secret bytea not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint login_secret_64_bytes CHECK ((octet_length(secret) = 64))
  constraint login_secret_one_row CHECK (single)
  constraint login_secret_pkey PRIMARY KEY (single)

table rowhouse_private.tenant_states  -- owner rowhouse_owner, fillfactor=80
  tenant_id uuid not null
  state text not null
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint tenant_states_pkey PRIMARY KEY (tenant_id)
  grant insert, select, update to rowhouse_definer

view rowhouse_private.context  -- owner rowhouse_owner, security_invoker=true
  fits boolean
  tenant text
  grant select to rowhouse_definer

view rowhouse_private.old_context  -- owner rowhouse_owner, security_invoker=true
  fits boolean
  tenant text
  grant select to rowhouse_definer

function rowhouse.accept_invitation(token text, new_user uuid, name text, session uuid, session_digest bytea, session_ends timestamp with time zone, trail uuid, request_id text) returns TABLE(tenant_id uuid, user_id uuid)  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
declare
  place rowhouse.locator;
  invited rowhouse.invitations;
  person rowhouse.users;
  over text;
begin
  perform rowhouse_private.refuse_while_bound();
  select * into place from rowhouse.locator l
  where l.kind = 'invitation' and l.digest = sha256(convert_to(token, 'UTF8'));
  if not found then
    return;
  end if;
  perform rowhouse_private.open(
    place.tenant_id, null, format('w;system;{};{%s};{};{}', rowhouse.service_principal(place.tenant_id, 'system')));
  perform rowhouse_private.one_at_a_time(place.tenant_id); -- of two at once, the second sees that it was used
  select * into invited from rowhouse.invitations i where i.tenant_id = place.tenant_id and i.id = place.id;
  if not exists (select from rowhouse_private.tenant_states s where s.tenant_id = place.tenant_id and s.state = 'active') then
    raise exception 'the tenant is not active' using errcode = 'RH004';
  end if;

  select u.* into person from rowhouse.locator l join rowhouse.users u on u.id = l.id
  where l.kind = 'email' and l.digest = sha256(convert_to(lower(invited.email), 'UTF8'));
  if not found then
    person.email := invited.email;
  end if;
  over := case
    when invited.accepted_at is not null then 'the invitation was used'
    when invited.revoked_at is not null then 'the invitation was revoked'
    when invited.expires_at <= clock_timestamp() then 'the invitation has expired'
    -- Its user has another one now, or is gone: who reads mail there today is somebody else.
    when person.deleted_at is not null or lower(person.email) <> lower(invited.email)
      then 'the address of the invitation leads to nobody any more'
  end;
  if over is not null then
    raise exception '%', over using errcode = 'RH009';
  end if;
  if person.id is null then
    insert into rowhouse.users (id, email, name) values (new_user, invited.email, accept_invitation.name)
    returning * into person;
  end if;

  perform rowhouse_private.open(place.tenant_id, null, format('w;none;{};{%s};{};{}', invited.invited_by));
  begin
    insert into rowhouse.tenant_members (tenant_id, user_id, role) values (place.tenant_id, person.id, invited.role);
  exception when sqlstate 'RH005' or insufficient_privilege then
    raise exception 'whoever made the invitation may not invite any more' using errcode = 'RH009';
  end;
  perform rowhouse_private.open(
    place.tenant_id, person.id, format('w;%s;{};{%s,%s};{};{}', invited.role, person.id, place.tenant_id));
  update rowhouse.invitations i
  set accepted_at = clock_timestamp(), accepted_by = person.id
  where i.tenant_id = place.tenant_id and i.id = place.id;
  perform rowhouse_private.add_session(place.tenant_id, person.id, session, session_digest, session_ends, person.id <> new_user);
  insert into rowhouse.audit_log (id, action, object_id, request_id, detail)
  values (trail, 'invitations.accept', place.id, accept_invitation.request_id, jsonb_build_object('role', invited.role));
  perform rowhouse_private.close();
  return query select place.tenant_id, person.id;
end

function rowhouse.add_member(ticket bytea, user_id uuid, role text, trail uuid, request_id text) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
begin
  perform rowhouse_private.refuse_while_bound();
  perform rowhouse.enter(ticket);
  insert into rowhouse.tenant_members (tenant_id, user_id, role)
  values (rowhouse.writable_tenant(), add_member.user_id, add_member.role);
  insert into rowhouse.audit_log (id, action, object_id, request_id, detail)
  values (trail, 'members.add', add_member.user_id, add_member.request_id, jsonb_build_object('role', add_member.role));
  perform rowhouse_private.close();
end

function rowhouse.administers_inside() returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.audiences_inside() returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.audit_chain(number bigint, before bytea, rows bytea) returns bytea  -- sql, stable, parallel safe; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
(body: see migrations)

function rowhouse.audit_digest(entry rowhouse.audit_log) returns bytea  -- sql, stable, parallel safe; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
(body: see migrations)

function rowhouse.bound_tenant() returns uuid  -- plpgsql, stable, parallel safe, security definer; owner rowhouse_definer; execute: public
begin
  return (
    select case when c.fits then c.tenant else rowhouse_private.second_look() end::pg_catalog.uuid
    from rowhouse_private.context c);
end

function rowhouse.caller_administers() returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.caller_audiences() returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.caller_edits() returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.caller_principals() returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.caller_role() returns text  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.current_principal() returns uuid  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.current_projects() returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.current_tenant() returns uuid  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.current_user_id() returns uuid  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.default_tenant() returns uuid  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.edits_inside() returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.end_session(session uuid) returns boolean  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
declare
  tenant constant uuid := rowhouse.bound_tenant();
  me constant uuid := rowhouse.current_user_id();
  whose uuid;
  context text;
begin
  if rowhouse.caller_role() <> 'viewer' then
    perform rowhouse.writable_tenant();
  end if;
  select s.user_id into whose from rowhouse.sessions s
  where s.tenant_id = tenant and s.id = session and s.revoked_at is null;
  if not found or (whose is distinct from me and rowhouse.caller_role() <> all ('{owner,admin,system}')) then
    return false;
  end if;
  if whose is distinct from me
    and rowhouse_private.managed_by_caller(tenant) = 'admin'
    and exists (
      select from rowhouse.tenant_members m where m.tenant_id = tenant and m.user_id = whose and m.role = 'owner')
  then
    raise exception 'an owner''s sessions are for owners to end' using errcode = '42501',
      schema = 'rowhouse', table = 'sessions', constraint = 'sessions_owner';
  end if;
  context := rowhouse_private.as_oneself();
  perform rowhouse_private.end_sessions(tenant, whose, session);
  perform rowhouse_private.open(tenant, me, context);
  return true;
end

function rowhouse.enter(ticket bytea) returns void  -- plpgsql, volatile, security definer; owner rowhouse_definer; execute: public
declare
  opened pg_catalog.text;
begin
  select
    case
      when pg_catalog.substring(ticket, 1, 2) operator(pg_catalog.=) k.ticket_head
        and pg_catalog.sha256(pg_catalog.substring(ticket, 76)) operator(pg_catalog.=) pg_catalog.sha256(pg_catalog.sha256(
          k.ticket_key operator(pg_catalog.||) pg_catalog.substring(ticket, 1, 75) operator(pg_catalog.||) k.ticket_key))
        and pg_catalog.substring(ticket, 51, 16) operator(pg_catalog.=) '\x00000000000000000000000000000000'
        and pg_catalog.substring(ticket, 68, 8) operator(pg_catalog.>) pg_catalog.timestamptz_send(pg_catalog.clock_timestamp())
        and l.state operator(pg_catalog.=) 'active'
        and t.state operator(pg_catalog.=) 'active'
        and l.expires_at operator(pg_catalog.>) pg_catalog.clock_timestamp()
        and pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed'
      then pg_catalog.set_config('app.seal', pg_catalog.encode(pg_catalog.sha256(
        k.seal_key
        operator(pg_catalog.||) pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp())
        operator(pg_catalog.||) pg_catalog.textsend(
          pg_catalog.set_config('app.tenant_id', l.tenant_text, true)
          operator(pg_catalog.||) pg_catalog.set_config('app.user_id', l.user_text, true)
          operator(pg_catalog.||) '/'
          operator(pg_catalog.||) pg_catalog.set_config('app.context',
            case when pg_catalog.get_byte(ticket, 66) operator(pg_catalog.=) 119 then l.packed else l.packed_read end, true))
        operator(pg_catalog.||) k.seal_key), 'hex'), true)
      else rowhouse_private.enter_closely(ticket)
    end
  into opened
  from (values (true)) one (row)
  left join rowhouse_private.keyring k on true
  left join rowhouse_private.liveness l on l.lookup operator(pg_catalog.=) pg_catalog.substring(ticket, 3, 48)
  left join rowhouse_private.tenant_states t on t.tenant_id operator(pg_catalog.=) l.tenant_id;
end

function rowhouse.floor_first() returns boolean  -- plpgsql, immutable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: public
begin
  if current_setting('cpu_operator_cost') <> '0' then -- asked first: inside a parallel worker nothing can be set
    perform set_config('cpu_operator_cost', '0', true);
  end if;
  return true;
end

function rowhouse.found_tenant(id uuid, slug text, name text, kind text, plan text, workspace uuid, owner uuid, request_id text) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
declare
  system constant uuid := gen_random_uuid();
begin
  perform rowhouse_private.refuse_while_bound();
  insert into rowhouse.tenants (id, slug, name, kind, plan) values (id, slug, name, kind, plan);
  perform rowhouse_private.open(id, null, format('w;system;{};{%s};{};{}', system));
  insert into rowhouse.principals (tenant_id, id, kind)
  values (found_tenant.id, found_tenant.id, 'tenant'), (found_tenant.id, system, 'system'), (found_tenant.id, gen_random_uuid(), 'job');
  if owner is not null then
    insert into rowhouse.tenant_members (tenant_id, user_id, role) values (id, owner, 'owner');
  end if;
  insert into rowhouse.workspaces (tenant_id, id, kind, name, owner_id)
  select found_tenant.id, workspace,
    case when found_tenant.kind = 'personal' and owner is not null then 'personal' else 'tenant' end,
    case when found_tenant.kind = 'personal' and owner is not null then 'Personal Workspace' else found_tenant.name end,
    case when found_tenant.kind = 'personal' then owner end;
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, workspace_id, request_id)
  values (found_tenant.id, gen_random_uuid(), 'tenants.create', found_tenant.id, workspace, request_id);
  perform set_config(setting, '', true)
  from unnest('{app.tenant_id,app.user_id,app.context,app.seal}'::text[]) setting;
end

function rowhouse.hold_session(ticket bytea) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
begin
  perform rowhouse_private.refuse_while_bound();
  perform rowhouse.enter(ticket);
  perform from rowhouse_private.liveness l
  where l.tenant_id = rowhouse.bound_tenant() and l.principal_id = rowhouse.current_principal()
    and l.credential_id = rowhouse_private.current_credential()
    and l.state = 'active' and l.expires_at > clock_timestamp()
  for share;
  if not found then
    raise exception 'the caller is not, or no longer, known to the tenant' using errcode = 'RH005';
  end if;
  perform rowhouse_private.close();
end

function rowhouse.ids(part integer) returns uuid[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.invite(id uuid, email text, role text, expires_at timestamp with time zone, mail uuid) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
declare
  tenant constant uuid := rowhouse.writable_tenant();
  caller text;
begin
  if rowhouse.caller_role() <> all ('{owner,admin,system}') then
    raise exception 'whom the tenant invites is for its owners and admins to say' using errcode = '42501',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_by_managers';
  end if;
  caller := rowhouse_private.managed_by_caller(tenant);
  if caller = 'admin' and invite.role = 'owner' then
    raise exception 'who is an owner of the tenant is for its owners to say' using errcode = '42501',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_owner';
  end if;
  if caller = 'system'
    and exists (select from rowhouse.tenant_members m where m.tenant_id = tenant and m.role = 'owner')
  then
    raise exception 'the tenant has an owner: it invites itself' using errcode = '42501',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_made_inside';
  end if;
  if exists (
    select from rowhouse.invitations i
    where i.tenant_id = tenant and lower(i.email) = lower(invite.email) and i.accepted_at is null and i.revoked_at is null
      and i.expires_at > clock_timestamp())
  then
    raise exception 'the address has an invitation that is still good' using errcode = '23505',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_pending';
  end if;
  with made as materialized (
    select 'invite_' || encode(substring(rowhouse_private.new_key(), 1, 24), 'hex') as token
  ), kept as (
    insert into rowhouse.invitations (tenant_id, id, email, role, digest, expires_at, mail_id)
    select tenant, invite.id, invite.email, invite.role, sha256(convert_to(m.token, 'UTF8')), invite.expires_at, invite.mail
    from made m
  ), found as (
    insert into rowhouse.locator (kind, digest, tenant_id, id)
    select 'invitation', sha256(convert_to(m.token, 'UTF8')), tenant, invite.id
    from made m
  )
  insert into rowhouse.outbox (tenant_id, id, recipient, subject, text, token)
  select tenant, invite.mail, invite.email,
    format('Invitation to %s', t.name),
    format(E'You are invited to %s, as %s. To accept, open\n\n{link}\n\nThis works once. If you did not expect it, do nothing.\n',
      t.name, invite.role),
    m.token
  from made m join rowhouse.tenants t on t.id = tenant;
end

function rowhouse.key_used() returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  if rowhouse.caller_role() = 'key' then
    insert into rowhouse_private.key_uses as u (tenant_id, key_id, last_used_at)
    values (rowhouse.bound_tenant(), rowhouse.current_principal(), clock_timestamp())
    on conflict on constraint key_uses_pkey do update
    set last_used_at = excluded.last_used_at, updated_at = excluded.last_used_at
    where u.last_used_at < excluded.last_used_at - interval '1 minute';
  end if;
end

function rowhouse.key_uses() returns TABLE(key_id uuid, last_used_at timestamp with time zone)  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
begin
  return query
  select u.key_id, u.last_used_at
  from rowhouse_private.key_uses u
  where u.tenant_id = rowhouse.bound_tenant();
end

function rowhouse.leave() returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
declare
  tenant constant uuid := rowhouse.bound_tenant();
  me constant uuid := rowhouse.current_user_id();
  context constant text := rowhouse_private.as_oneself();
begin
  delete from rowhouse.team_members m where m.tenant_id = tenant and m.user_id = me;
  delete from rowhouse.user_project_roles r where r.tenant_id = tenant and r.user_id = me;
  delete from rowhouse.tenant_members m where m.tenant_id = tenant and m.user_id = me;
  if not found then
    raise exception 'the caller is no member of the tenant' using errcode = '42501';
  end if;
  perform rowhouse_private.open(tenant, me, context);
end

function rowhouse.locate(kind text, digest bytea) returns TABLE(tenant_id uuid, id uuid, principal_id uuid)  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
begin
  return query
  select l.tenant_id, l.id, l.principal_id
  from rowhouse.locator l
  where l.kind = locate.kind and l.digest = locate.digest
    and (l.kind <> 'email' or pg_has_role(session_user, 'rowhouse_platform', 'member'));
end

function rowhouse.may_see(tenant uuid, resource uuid) returns boolean  -- plpgsql, stable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  return exists (
    select from rowhouse.resources r
    where r.tenant_id = tenant and r.tenant_id = rowhouse.current_tenant() and r.id = resource);
end

function rowhouse.may_share(tenant uuid, resource uuid) returns boolean  -- plpgsql, stable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  return exists (
    select from rowhouse.resources r
    where r.tenant_id = tenant and r.tenant_id = rowhouse.current_tenant() and r.id = resource
      and (r.owner_id = any (rowhouse.caller_principals())
        or r.audience = any (rowhouse.caller_administers())
        or rowhouse.caller_role() = 'job'
        or exists (
          select from rowhouse.resource_acl a
          where a.tenant_id = r.tenant_id and a.resource_id = r.id and a.access = 'admin'
            and a.principal_id = any (rowhouse.caller_principals()))));
end

function rowhouse.may_use_workspace(tenant uuid, workspace uuid) returns boolean  -- plpgsql, stable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  return exists (
    select from rowhouse.workspaces w
    where w.tenant_id = tenant and w.tenant_id = rowhouse.current_tenant() and w.id = workspace and w.deleted_at is null
      and (w.kind = 'tenant'
        or w.owner_id = any (rowhouse.caller_principals())
        or w.team_id = any (rowhouse.caller_principals())
        or w.kind = 'team' and rowhouse.caller_role() = any ('{owner,admin}')
        or rowhouse.caller_role() = any ('{key,tenant}')
          and exists (select from rowhouse.tenants t where t.id = w.tenant_id and t.kind = 'personal')));
end

function rowhouse.memberships(of_user uuid) returns TABLE(tenant_id uuid, slug text, name text, kind text, role text, projects uuid[])  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
begin
  return query
  select t.id, t.slug, t.name, t.kind, l.role, l.projects
  from rowhouse_private.liveness l
  join rowhouse_private.tenant_states s on s.tenant_id = l.tenant_id and s.state = 'active'
  join rowhouse.tenants t on t.id = l.tenant_id
  where l.user_id = of_user and l.credential_id = '00000000-0000-0000-0000-000000000000' and l.state = 'active'
  order by t.created_at, t.id;
end

function rowhouse.note_mail(tenant uuid, mail uuid, attempt integer, status text, why text, again_in double precision, trail uuid) returns boolean  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_mailer
declare
  mine boolean;
begin
  perform rowhouse_private.refuse_while_bound();
  perform rowhouse_private.open_as_system(tenant);
  -- Locked first, as take_mail() does: when the lease is over, that may want both too.
  perform from rowhouse.jobs j where j.tenant_id = tenant and j.kind = 'mail' and j.id = mail for update;
  update rowhouse.outbox o
  set status = note_mail.status, last_error = why,
    text = case when note_mail.status = 'queued' then o.text end,
    token = case when note_mail.status = 'queued' then o.token end,
    sent_at = case when note_mail.status = 'sent' then clock_timestamp() end
  where o.tenant_id = tenant and o.id = mail and o.attempts = attempt and o.status = 'queued';
  mine := found;
  if mine and status = 'queued' then
    update rowhouse.jobs j
    set due_at = clock_timestamp() + make_interval(secs => again_in)
    where j.tenant_id = tenant and j.kind = 'mail' and j.id = mail;
  elsif mine then
    delete from rowhouse.jobs j where j.tenant_id = tenant and j.kind = 'mail' and j.id = mail;
    -- So that whoever invited sees it, who reads nothing here. One that somebody holds locked is passed by, since nobody inside a
    -- tenant holds up the mail of others: it is being revoked or accepted.
    update rowhouse.invitations i
    set mail = note_mail.status
    where i.tenant_id = tenant and i.id = (
      select l.id from rowhouse.invitations l where l.tenant_id = tenant and l.mail_id = note_mail.mail for update skip locked);
    insert into rowhouse.audit_log (id, action, object_id, detail)
    values (trail, case status when 'sent' then 'mails.send' else 'mails.fail' end, mail, jsonb_build_object('attempts', attempt));
  end if;
  perform rowhouse_private.close();
  return mine;
end

function rowhouse.open_session(ticket bytea, id uuid, digest bytea, expires_at timestamp with time zone, trail uuid, request_id text) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
declare
  tenant uuid;
  me uuid;
begin
  perform rowhouse_private.refuse_while_bound();
  perform rowhouse.enter(ticket);
  tenant := rowhouse.bound_tenant();
  me := rowhouse.current_user_id();
  if me is null or substring(ticket, 35, 32) <> decode(repeat('00', 32), 'hex') or substring(ticket, 67, 1) <> 'w' then
    raise exception 'a session is for a user, by a ticket that nothing narrows' using errcode = '42501';
  end if;
  perform rowhouse_private.as_oneself();
  perform rowhouse_private.add_session(tenant, me, open_session.id, open_session.digest, open_session.expires_at);
  insert into rowhouse.audit_log (id, action, object_id, request_id)
  values (trail, 'sessions.create', open_session.id, open_session.request_id);
  perform rowhouse_private.close();
end

function rowhouse.own_key_hash() returns text  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  return (
    select k.secret_hash from rowhouse.api_keys k
    where k.tenant_id = rowhouse.bound_tenant() and k.id = rowhouse.current_principal());
end

function rowhouse.pair(tenant uuid, id uuid) returns text  -- sql, immutable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.pairs(part integer) returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.people() returns TABLE(user_id uuid, email text, name text)  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app, rowhouse_platform
begin
  return query
  select u.id, u.email, u.name
  from rowhouse.tenant_members m join rowhouse.users u on u.id = m.user_id
  where m.tenant_id = rowhouse.bound_tenant();
end

function rowhouse.principals_inside() returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.projects_inside() returns text[]  -- sql, stable, parallel safe; owner rowhouse_definer; execute: public
(body: see migrations)

function rowhouse.raise_wall(relation regclass, class text, mode text, project_column text) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_migrator, rowhouse_owner
declare
  managers constant text := 
    '(tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = any (''{owner,admin}''::text[]))';
  -- floor_first() has every floor asked before any condition of the caller's is tried on a row. The second column makes
  -- the question one that needs no row: it is asked, and raises without a context, also where no row is found.
  reads constant text := '(tenant_id, true) = (select rowhouse.bound_tenant(), true)';
  writes constant text := '(tenant_id, true) = (select rowhouse.writable_tenant(), true)';
  -- Trails are written under read access too.
  append_only constant boolean := relation = coalesce(to_regclass('rowhouse.audit_log'), 0);
  in_projects text;
begin
  perform rowhouse_private.refuse_while_bound();
  if class <> all ('{admin,content}') then
    raise exception 'class %: a table behind the wall is either admin or content', class using errcode = '22023';
  end if;
  perform from pg_attribute
  where attrelid = relation and attname = 'tenant_id' and atttypid = 'uuid'::regtype and attnotnull;
  if not found then
    raise exception '% has no column "tenant_id uuid not null"', relation using errcode = '42703';
  end if;

  execute format(
    'create policy tenant_floor on %s as restrictive for all to public using (rowhouse.floor_first() and %s) with check (%s)',
    relation, reads, case when append_only then reads else writes end);
  if not append_only then
    -- USING of the floor above lets a reader's UPDATE and DELETE find rows; these do not.
    execute format('create policy tenant_floor_update on %s as restrictive for update to public using (%s)', relation, writes);
    execute format('create policy tenant_floor_delete on %s as restrictive for delete to public using (%s)', relation, writes);
  end if;
  if project_column is not null then
    -- Twice: the first is an index condition.
    in_projects := format('%1$I = any ((select rowhouse.current_projects())::uuid[])
      and rowhouse.pair(tenant_id, %1$I) = any ((select rowhouse.projects_inside())::text[])', project_column);
    execute format('create policy project_floor on %s as restrictive for all to public using (%s) with check (%2$s)',
      relation, in_projects);
  end if;

  if class = 'content' or append_only then
    execute format('create policy inside on %s for all to rowhouse_app using (true) with check (true)', relation);
  else
    execute format('create policy inside on %s for select to rowhouse_app using (true)', relation);
    execute format('create policy managers on %s for all to rowhouse_app using (%s) with check (%2$s)', relation, managers);
  end if;
  if class = 'admin' then
    execute format('create policy system on %s for all to rowhouse_platform, rowhouse_definer using (true) with check (true)',
      relation);
  end if;

  insert into rowhouse.managed_tables as m (schema_name, table_name, class, mode, project_column)
  select n.nspname, c.relname, raise_wall.class, 'enforce', raise_wall.project_column
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation;
  perform rowhouse.set_mode(relation, mode);
end

function rowhouse.residue(ours bigint) returns text[]  -- plpgsql, volatile; owner rowhouse_definer; execute: public
begin
  return (
    select pg_catalog.array_remove(array[
      case when p.by_sql operator(pg_catalog.>) 0 then 'prepared statement' end,
      case when p.by_driver operator(pg_catalog.<) ours then 'missing prepared statement' end,
      case when exists (select from pg_catalog.pg_cursor() c where c.is_holdable) then 'holdable cursor' end,
      case when pg_catalog.pg_my_temp_schema() operator(pg_catalog.<>) 0::pg_catalog.oid then 'temporary schema' end,
      case when exists (select from pg_catalog.pg_listening_channels()) then 'listening channel' end,
      case
        when current_user operator(pg_catalog.<>) session_user
          or pg_catalog.current_setting('role') operator(pg_catalog.<>) 'none'
        then 'role'
      end
    ], null)
    from (
      select
        pg_catalog.count(*) filter (where s.from_sql) as by_sql,
        pg_catalog.count(*) filter (
          where not s.from_sql
            and s.statement operator(pg_catalog.!~~) 'SELECT t.typname, t.typtype, %'
            and s.statement operator(pg_catalog.!~~) 'SELECT enumlabel%'
            and s.statement operator(pg_catalog.!~~) 'SELECT attname, atttypid%') as by_driver
      from pg_catalog.pg_prepared_statement() s) p);
end

function rowhouse.rotate_seal() returns void  -- sql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_migrator
(body: see migrations)

function rowhouse.rows_in_order() returns boolean  -- plpgsql, immutable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_app
begin
  if current_setting('enable_bitmapscan') <> 'off' then
    perform set_config('enable_bitmapscan', 'off', true);
  end if;
  return true;
end

function rowhouse.seal_audit(most integer) returns integer  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
declare
  tenant constant uuid := rowhouse.writable_tenant();
  last record;
  sealed integer;
  digests bytea;
  taken text;
begin
  if rowhouse.caller_role() <> 'system' then
    raise exception 'the trail is sealed by the platform' using errcode = '42501';
  end if;
  select s.number, s.digest into last from rowhouse.audit_seals s
  where s.tenant_id = tenant order by s.number desc limit 1;
  with batch as (
    select a.id from rowhouse.audit_log a
    where a.tenant_id = tenant and a.seal is null
    order by a.created_at, a.id
    limit most
    for update -- in this order, so that no two sealers wait for each other
  ), marked as (
    update rowhouse.audit_log a
    set seal = coalesce(last.number, 0) + 1
    from batch b
    where a.tenant_id = tenant and a.id = b.id and a.seal is null
    returning a.id, rowhouse.audit_digest(a) as digest
  )
  select count(*), string_agg(m.digest, ''::bytea order by m.id) into sealed, digests from marked m;
  if sealed > 0 then
    insert into rowhouse.audit_seals (tenant_id, number, rows, digest)
    values (tenant, coalesce(last.number, 0) + 1, sealed,
      rowhouse.audit_chain(coalesce(last.number, 0) + 1, last.digest, digests));
  end if;
  return sealed;
exception
  when unique_violation then
    get stacked diagnostics taken = constraint_name;
    if taken <> 'audit_seals_pkey' then
      raise;
    end if;
    return 0;
end

function rowhouse.service_principal(tenant uuid, kind text) returns uuid  -- plpgsql, stable, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_platform
begin
  return (
    select l.principal_id from rowhouse_private.liveness l
    where l.tenant_id = tenant and l.kind = service_principal.kind and l.kind = any ('{system,job}'));
end

function rowhouse.set_mode(relation regclass, mode text) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_migrator, rowhouse_owner
declare
  floor name;
  found_floors constant name[] := array(
    select p.polname from pg_policy p
    where p.polrelid = relation and not p.polpermissive
      and p.polname like any ('{tenant\_floor%,project\_floor,own\_floor}')
    order by p.polname);
  known_floors name[];
begin
  perform rowhouse_private.refuse_while_bound();
  if mode <> all ('{off,shadow,enforce}') then
    raise exception 'mode %: a table is off, shadow or enforce', mode using errcode = '22023';
  end if;
  select t.floors into known_floors
  from rowhouse.managed_tables t
  join pg_namespace n on n.nspname = t.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
  where c.oid = relation and t.class <> 'shared';
  if not found then
    raise exception '% is not behind the wall', relation
      using errcode = '55000', hint = 'Put it there with: rowhouse tables protect TABLE';
  end if;
  -- What lets the caller in is worth nothing without the floor beneath it.
  if not found_floors @> known_floors or not 'tenant_floor' = any (found_floors) then
    raise exception 'policies of % are gone: %', relation, array(
        select unnest(known_floors || '{tenant_floor}'::name[]) except select unnest(found_floors))
      using errcode = '55000', hint = 'Find out who dropped them; rowhouse doctor says what else is not as it was made.';
  end if;
  update rowhouse.managed_tables t
  set mode = set_mode.mode, floors = found_floors, updated_at = clock_timestamp()
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation and t.schema_name = n.nspname and t.table_name = c.relname;

  execute format('alter table %s %s row level security, force row level security',
    relation, case mode when 'off' then 'disable' else 'enable' end);
  foreach floor in array found_floors loop
    execute format('alter policy %I on %s to %s', floor, relation,
      case mode when 'enforce' then 'public' else 'rowhouse_enforced' end);
  end loop;
  if exists (select from pg_policy where polrelid = relation and polname = 'shadow_open') then
    execute format('drop policy shadow_open on %s', relation);
  end if;
  if mode <> 'enforce' then
    execute format('create policy shadow_open on %s for all to public using (true) with check (true)', relation);
  end if;
end

function rowhouse.take_mail(lease double precision) returns TABLE(tenant_id uuid, id uuid, recipient text, subject text, text text, token text, attempt integer, queued_at timestamp with time zone)  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_mailer
declare
  job rowhouse.jobs;
begin
  perform rowhouse_private.refuse_while_bound();
  select j.* into job
  from rowhouse.jobs j
  join rowhouse.tenants t on t.id = j.tenant_id
  where j.kind = 'mail' and j.due_at <= clock_timestamp()
    and t.deleted_at is null and t.status = any ('{provisioning,active}') and t.placement = 'here'
  order by j.due_at
  limit 1
  for update of j skip locked;
  if not found then
    return;
  end if;
  update rowhouse.jobs j
  set due_at = clock_timestamp() + make_interval(secs => lease)
  where j.tenant_id = job.tenant_id and j.kind = 'mail' and j.id = job.id;
  perform rowhouse_private.open_as_system(job.tenant_id);
  return query
  update rowhouse.outbox o
  set attempts = o.attempts + 1
  where o.tenant_id = job.tenant_id and o.id = job.id and o.status = 'queued'
  returning o.tenant_id, o.id, o.recipient, o.subject, o.text, o.token, o.attempts, o.created_at;
  if not found then
    delete from rowhouse.jobs j where j.tenant_id = job.tenant_id and j.kind = 'mail' and j.id = job.id;
  end if;
  perform rowhouse_private.close();
end

function rowhouse.writable_tenant() returns uuid  -- plpgsql, stable, parallel safe, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: public
declare
  bound uuid := rowhouse.bound_tenant();
begin
  if starts_with(current_setting('app.context', true), 'w') then
    return bound;
  end if;
  raise exception 'this context may only read' using errcode = 'RH006';
end

function rowhouse_private.add_session(in_tenant uuid, of_user uuid, id uuid, digest bytea, expires_at timestamp with time zone, only_here boolean) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  perform rowhouse_private.one_at_a_time(in_tenant);
  insert into rowhouse_private.liveness (tenant_id, principal_id, credential_id, kind, user_id, user_gone, expires_at)
  select l.tenant_id, l.principal_id, add_session.id, l.kind, l.user_id, l.user_gone, add_session.expires_at
  from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = of_user and l.kind = 'user' and l.state = 'active'
    and l.credential_id = '00000000-0000-0000-0000-000000000000'
  for share; -- who is being deleted from the platform, which takes no lock of the tenant's, is gone here
  if not found then
    raise exception 'the caller is not, or no longer, a member of the tenant' using errcode = 'RH005';
  end if;
  insert into rowhouse.sessions (tenant_id, id, user_id, digest, only_here, expires_at)
  values (in_tenant, add_session.id, of_user, add_session.digest, add_session.only_here, add_session.expires_at);
  insert into rowhouse.locator (kind, digest, tenant_id, id, principal_id)
  values ('session', add_session.digest, in_tenant, add_session.id, of_user);
  delete from rowhouse_private.liveness l -- of those that ended by themselves
  where l.tenant_id = in_tenant and l.principal_id = of_user and l.expires_at < clock_timestamp();
  perform rowhouse_private.refresh(in_tenant, of_user);
end

function rowhouse_private.as_oneself() returns text  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
declare
  role constant text := rowhouse.caller_role(); -- and nothing here is believed before its seal was
  context constant text := current_setting('app.context', true);
begin
  if role = 'viewer' then
    perform rowhouse_private.open(rowhouse.bound_tenant(), rowhouse.current_user_id(), 'w' || substring(context, 2));
  end if;
  return context;
end

function rowhouse_private.close() returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  perform set_config(setting, '', true)
  from unnest('{app.tenant_id,app.user_id,app.context,app.seal}'::text[]) setting;
end

function rowhouse_private.current_credential() returns uuid  -- sql, stable, parallel safe; owner rowhouse_definer; execute: nobody else
(body: see migrations)

function rowhouse_private.deployment_changed() returns trigger  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  moves constant text[] := '{pending to active,pending to stopped,pending to failed,active to stopped,active to failed,'
    'stopped to active,failed to pending}';
  gone timestamptz;
begin
  select r.deleted_at, r.project_id into gone, new.project_id from rowhouse.resources r
  where r.tenant_id = new.tenant_id and r.id = new.resource_id
  for share;
  if not found then
    raise exception 'a resource is deployed by those who edit it' using errcode = '42501',
      schema = 'rowhouse', table = 'deployments', constraint = 'deployments_by_editors';
  elsif gone is not null and new.deleted_at is null and new.status = any ('{pending,active}') then
    raise exception 'the resource is deleted' using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.status <> old.status and format('%s to %s', old.status, new.status) <> all (moves) then
    raise exception 'a deployment does not go from % to %', old.status, new.status using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.deleted_at is not null and 'active' = any (array[old.status, new.status]) then
    raise exception 'a deployment that is active is stopped before it is deleted' using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.deleted_at is null and old.deleted_at is not null then
    raise exception 'a deleted deployment stays deleted' using errcode = 'RH010';
  end if;
  return new;
end

function rowhouse_private.deployment_placed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if new.project_id is null or new.deleted_at is not null or new.status <> all ('{pending,active}') then
    return new;
  end if;
  perform rowhouse_private.refuse_snapshot();
  perform from rowhouse_private.liveness l
  where l.tenant_id = new.tenant_id and l.principal_id = rowhouse.current_principal()
  for share;
  perform from rowhouse.projects p
  where p.tenant_id = new.tenant_id and p.id = new.project_id and p.deleted_at is not null;
  if found then
    raise exception 'the project is deleted' using errcode = 'RH010';
  end if;
  return new;
end

function rowhouse_private.end_sessions(in_tenant uuid, of_user uuid, only_this uuid) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  update rowhouse.sessions s
  set revoked_at = clock_timestamp()
  where s.tenant_id = in_tenant and s.user_id = of_user and s.revoked_at is null
    and (only_this is null or s.id = only_this);
  delete from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = of_user
    and l.credential_id <> '00000000-0000-0000-0000-000000000000'
    and (only_this is null or l.credential_id = only_this);
end

function rowhouse_private.enter_closely(ticket bytea) returns text  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
declare
  ours constant boolean := rowhouse_private.is_ours(ticket);
  live rowhouse_private.liveness;
  tenant_state text;
  project uuid;
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  packed text;
begin
  if ours is null then
    raise exception 'this database has lost the keys of its seal' using errcode = 'RH002',
      hint = 'Restore rowhouse_private.keyring from a backup, or make new keys: rowhouse seal rotate';
  elsif not ours then
    raise exception 'this is not a ticket, or its seal does not fit' using errcode = 'RH002',
      hint = 'A ticket is good under the current ticket key and the one before it.';
  end if;
  if substring(ticket, 68, 8) <= timestamptz_send(clock_timestamp()) then
    raise exception 'the ticket has expired' using errcode = 'RH003';
  end if;
  -- A snapshot may be older than the transaction (`set transaction snapshot`), and who was removed since is still there in it.
  -- A row that has changed since cannot be locked: that fails with 40001. The locks are given back at once, so that nobody
  -- who changes the rows waits for the caller. One that only reads takes no locks, and its seal would be good for the next
  -- transaction of the same text (C23), which sees what is there now: it is refused, but on a standby, where no snapshot is another's.
  if current_setting('transaction_isolation') = any ('{repeatable read,serializable}'::text[]) and not pg_is_in_recovery() then
    if current_setting('transaction_read_only') = 'on' then
      raise exception 'under a snapshot, nobody enters a transaction that only reads' using errcode = '25006',
        hint = 'Leave out READ ONLY, or begin under READ COMMITTED.';
    end if;
    begin
      perform from rowhouse_private.liveness l where l.lookup = substring(ticket, 3, 48) for share;
      perform from rowhouse_private.tenant_states s
      where s.tenant_id = encode(substring(ticket, 3, 16), 'hex')::uuid
      for share;
      raise exception 'the rows are as they were' using errcode = 'RH000';
    exception when sqlstate 'RH000' then
      null;
    end;
  end if;
  select * into live from rowhouse_private.liveness where lookup = substring(ticket, 3, 48);
  select s.state into tenant_state from rowhouse_private.tenant_states s where s.tenant_id = live.tenant_id;
  if live.state is null or live.state = 'RH005' or live.expires_at <= clock_timestamp() or tenant_state is null
    or (live.state = 'system' and not pg_has_role(session_user, 'rowhouse_platform', 'member'))
  then
    raise exception 'the caller is not, or no longer, known to the tenant' using errcode = 'RH005';
  elsif tenant_state = 'RH004' and live.state <> 'system' then -- the platform goes on managing it
    raise exception 'the tenant is not active' using errcode = 'RH004';
  elsif tenant_state = 'RH008' then
    raise exception 'the tenant is not placed on this server' using errcode = 'RH008';
  elsif live.state = 'RH007' then
    raise exception 'the caller stands for more than 256 principals' using errcode = 'RH007';
  elsif live.state <> all ('{active,system}') then
    raise exception 'the caller is refused' using errcode = 'RH005';
  end if;
  packed := case when substring(ticket, 67, 1) = 'w' then live.packed else live.packed_read end;
  project := encode(substring(ticket, 51, 16), 'hex')::uuid;
  if project <> nil then
    if project <> all (live.projects) then
      raise exception 'the caller is not, or no longer, a member of the project' using errcode = 'RH005';
    end if;
    packed := format('%s;%s;{%s};%s;%s;%s;%s', split_part(packed, ';', 1), live.role, project, live.principals,
      array(select project where project = any (live.edits)),
      array(select project where project = any (live.administers)),
      live.credential_id);
  end if;
  return rowhouse_private.open(live.tenant_id, live.user_id, packed);
end

function rowhouse_private.entry_received() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform from rowhouse.principals p
  where p.tenant_id = new.tenant_id and p.id = new.principal_id and p.deleted_at is null
  for share;
  if not found then
    raise exception 'nobody who is there has this id' using errcode = '23503',
      schema = 'rowhouse', table = 'resource_acl', constraint = 'resource_acl_principal';
  end if;
  return null;
end

function rowhouse_private.invitation_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.one_at_a_time(new.tenant_id);
  if old.revoked_at is not null and new.revoked_at is null then
    raise exception 'a revoked invitation stays revoked' using errcode = '42501',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_revoked_for_good';
  end if;
  return null;
end

function rowhouse_private.is_ours(ticket bytea) returns boolean  -- sql, stable; owner rowhouse_definer; execute: nobody else
(body: see migrations)

function rowhouse_private.key_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  caller constant text := rowhouse_private.managed_by_caller(new.tenant_id);
begin
  if tg_op = 'UPDATE' and old.revoked_at is not null and new.revoked_at is null then
    raise exception 'a revoked key stays revoked' using errcode = '42501',
      schema = 'rowhouse', table = 'api_keys', constraint = 'api_keys_revoked_for_good';
  end if;
  -- One that the platform made earlier, it knows.
  if caller = 'system'
    and (tg_op = 'INSERT'
      or not new.permissions <@ old.permissions
      or new.scopes <> old.scopes
      or coalesce(new.expires_at, 'infinity') > coalesce(old.expires_at, 'infinity'))
    and exists (select from rowhouse.tenant_members m where m.tenant_id = new.tenant_id and m.role = 'owner')
  then
    raise exception 'the tenant has an owner: it makes its keys itself' using errcode = '42501',
      schema = 'rowhouse', table = 'api_keys', constraint = 'api_keys_made_inside';
  end if;
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (new.tenant_id, new.id, 'key');
    insert into rowhouse.locator (kind, digest, tenant_id, id) values ('key', new.digest, new.tenant_id, new.id);
  else
    update rowhouse.principals p set deleted_at = new.revoked_at where p.tenant_id = new.tenant_id and p.id = new.id;
    perform rowhouse_private.refresh(new.tenant_id, new.id);
  end if;
  return null;
end

function rowhouse_private.mail_queued() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.managed_by_caller(new.tenant_id);
  insert into rowhouse.jobs (tenant_id, kind, id, due_at) values (new.tenant_id, 'mail', new.id, clock_timestamp());
  return null;
end

function rowhouse_private.managed_by_caller(in_tenant uuid, in_project uuid) returns text  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
declare
  caller text;
begin
  perform rowhouse_private.one_at_a_time(in_tenant);
  select l.role into caller from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = rowhouse.current_principal()
    -- by the session or key that he came with: one that was ended since leaves nothing behind either
    and l.credential_id = coalesce(rowhouse_private.current_credential(), l.credential_id)
    and l.state = any ('{active,system}') and l.expires_at > clock_timestamp()
    and (l.role = any ('{owner,admin,system}') or l.access = 'w' and in_project = any (l.administers))
  for share;
  if not found then
    raise exception 'the caller does not, or no longer, manage the tenant' using errcode = 'RH005';
  end if;
  -- Not locked: a suspension waits for nobody. One that comes later finds what was made before it.
  if caller <> 'system' and not exists (
    select from rowhouse_private.tenant_states s where s.tenant_id = in_tenant and s.state = 'active')
  then
    raise exception 'the tenant is not active' using errcode = 'RH004';
  end if;
  return caller;
end

function rowhouse_private.member_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  member rowhouse.tenant_members := case when tg_op = 'DELETE' then old else new end;
  ranks constant text[] := '{viewer,member,admin,owner}';
  caller text;
begin
  if tg_op = 'DELETE' and old.user_id = rowhouse.current_user_id() then
    perform rowhouse_private.one_at_a_time(old.tenant_id);
    caller := old.role; -- whoever leaves asks nobody
  else
    caller := rowhouse_private.managed_by_caller(member.tenant_id);
  end if;
  if caller <> 'owner' and caller <> 'system' and (old.role = 'owner' or new.role = 'owner') then
    raise exception 'who is an owner of the tenant is for its owners to say' using errcode = '42501',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_owner';
  end if;
  -- The platform brings in the first people and shows them out; whom it lets in or raises later, the tenant did not ask for.
  if caller = 'system'
    and (old.role = 'owner'
      or (tg_op = 'INSERT' or array_position(ranks, new.role) > array_position(ranks, old.role))
        and exists (
          select from rowhouse.tenant_members m
          where m.tenant_id = member.tenant_id and m.role = 'owner' and m.user_id <> member.user_id))
  then
    raise exception 'the tenant has an owner: who belongs to it is for its own to say' using errcode = '42501',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_added_inside';
  end if;
  -- Of two that go at once, the second sees that the first is gone. Who was deleted from the platform owns nothing any more.
  if old.role = 'owner' and new.role is distinct from 'owner' and not exists (
    select from rowhouse.tenant_members m
    join rowhouse_private.liveness l on l.tenant_id = m.tenant_id and l.principal_id = m.user_id
    where m.tenant_id = member.tenant_id and m.role = 'owner' and m.user_id <> member.user_id and not l.user_gone)
  then
    raise exception 'a tenant keeps its last owner' using errcode = '23514',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_last_owner';
  end if;
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (member.tenant_id, member.user_id, 'user')
    on conflict on constraint principals_pkey do update set deleted_at = null where principals.kind = 'user';
    if not found then
      raise exception 'the id of this user stands for something else in the tenant' using errcode = '23505';
    end if;
  elsif tg_op = 'DELETE' then
    update rowhouse.principals p set deleted_at = clock_timestamp()
    where p.tenant_id = member.tenant_id and p.id = member.user_id;
  end if;
  perform rowhouse_private.refresh(member.tenant_id, member.user_id);
  return null;
end

function rowhouse_private.member_went() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if tg_op = 'DELETE' then
    perform rowhouse_private.end_sessions(old.tenant_id, old.user_id);
    delete from rowhouse.resource_acl a where a.tenant_id = old.tenant_id and a.principal_id = old.user_id;
  end if;
  update rowhouse.invitations i
  set revoked_at = clock_timestamp()
  where i.tenant_id = old.tenant_id and i.accepted_at is null and i.revoked_at is null
    and (i.invited_by = old.user_id
        and (tg_op = 'DELETE' or new.role <> all ('{owner,admin}') or new.role = 'admin' and i.role = 'owner')
      or tg_op = 'DELETE'
        and lower(i.email) = (select lower(u.email) from rowhouse.users u where u.id = old.user_id));
  return null;
end

function rowhouse_private.membership_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  in_tenant constant uuid := case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end;
  in_project constant uuid := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end ->> 'project_id';
begin
  if tg_op = 'DELETE' and old.user_id = rowhouse.current_user_id() then
    null; -- whoever leaves asks nobody; a policy lets him only through rowhouse.leave()
  else
    perform rowhouse_private.managed_by_caller(in_tenant, in_project);
  end if;
  perform rowhouse_private.refresh(in_tenant, case when tg_op = 'DELETE' then old.user_id else new.user_id end);
  return null;
end

function rowhouse_private.new_key() returns bytea  -- sql, volatile; owner rowhouse_definer; execute: nobody else
(body: see migrations)

function rowhouse_private.one_at_a_time(in_tenant uuid) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  if rowhouse.current_tenant() is not null then -- whoever mends the database by hand has none
    perform rowhouse_private.still_in(in_tenant);
  end if;
  update rowhouse_private.liveness l
  set updated_at = clock_timestamp()
  where l.tenant_id = in_tenant and l.principal_id = in_tenant
    and l.xmin <> pg_current_xact_id()::xid; -- once a transaction
end

function rowhouse_private.open(tenant uuid, user_id uuid, context text) returns text  -- sql, volatile; owner rowhouse_definer; execute: nobody else
(body: see migrations)

function rowhouse_private.open_as_system(tenant uuid) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  perform rowhouse_private.open(
    tenant, null, format('w;system;{};{%s};{};{}', rowhouse.service_principal(tenant, 'system')));
end

function rowhouse_private.persona_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.managed_by_caller(case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end);
  if tg_op = 'INSERT' and exists (
    select from rowhouse.api_keys k
    where k.tenant_id = new.tenant_id and k.id = new.api_key_id and k.revoked_at is not null)
  then
    raise exception 'a key that was revoked speaks as nobody any more' using errcode = 'RH010';
  end if;
  return null;
end

function rowhouse_private.principal_added() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if new.kind <> 'team' then
    perform rowhouse_private.one_at_a_time(new.tenant_id);
    if new.kind = 'user' then -- a caller chooses the ids of his keys: no other user is his to lock
      perform from rowhouse.users u where u.id = new.id for share; -- who is being deleted at this moment is gone below
    end if;
    insert into rowhouse_private.liveness (tenant_id, principal_id, credential_id, kind, user_id, user_gone)
    values (
      new.tenant_id,
      new.id,
      case when new.kind = 'key' then new.id else '00000000-0000-0000-0000-000000000000' end,
      new.kind,
      case when new.kind = 'user' then new.id end,
      new.kind = 'user' and exists (select from rowhouse.users u where u.id = new.id and u.deleted_at is not null));
    perform rowhouse_private.refresh(new.tenant_id, new.id);
  end if;
  return null;
end

function rowhouse_private.project_deleted() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  with stopped as (
    update rowhouse.deployments d
    set status = 'stopped'
    from new_rows n
    where d.tenant_id = n.tenant_id and d.project_id = n.id and n.deleted_at is not null
      and d.deleted_at is null and d.status = any ('{pending,active}')
    returning d.tenant_id, d.id, d.project_id, d.resource_id
  )
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, project_id, resource_id)
  select s.tenant_id, gen_random_uuid(), 'deployments.stop', s.id, s.project_id, s.resource_id
  from stopped s;
  return null;
end

function rowhouse_private.projects_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  in_tenant uuid;
  changed uuid[];
begin
  for in_tenant, changed in
    select n.tenant_id, array_agg(n.id) from new_rows n group by n.tenant_id order by n.tenant_id
  loop
    perform rowhouse_private.managed_by_caller(in_tenant);
    perform rowhouse_private.refresh(l.tenant_id, l.principal_id)
    from rowhouse_private.liveness l
    where l.tenant_id = in_tenant
      and (l.role = any ('{owner,admin,key,job,system}')
        or l.principal_id in (
          select r.user_id from rowhouse.user_project_roles r
          where r.tenant_id = in_tenant and r.project_id = any (changed)))
    order by l.principal_id;
  end loop;
  return null;
end

function rowhouse_private.provisioning_started() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  insert into rowhouse.jobs (tenant_id, kind, id, due_at)
  values (new.tenant_id, 'provision', new.tenant_id, clock_timestamp());
  return null;
end

function rowhouse_private.refresh(in_tenant uuid, principal uuid) returns void  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
declare
  live rowhouse_private.liveness;
  verdict text := 'active';
  may text := 'w';
  member_role text;
  expiry timestamptz := 'infinity';
  in_projects uuid[] := '{}';
  edited uuid[] := '{}';
  administered uuid[] := '{}';
  only_projects jsonb; -- of a key with scopes
  stands_for uuid[];
begin
  perform rowhouse_private.one_at_a_time(in_tenant);
  select * into live from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = principal
  for update;
  if not found then
    return; -- a team: nobody enters as one
  end if;
  stands_for := array[principal];

  if live.kind = 'user' then
    select m.role into member_role from rowhouse.tenant_members m
    where m.tenant_id = in_tenant and m.user_id = principal;
    if not found then
      verdict := 'RH005';
    end if;
    may := case when member_role = 'viewer' then 'r' else 'w' end;
    stands_for := stands_for || in_tenant || array(
      select m.team_id from rowhouse.team_members m
      join rowhouse.teams t on t.tenant_id = m.tenant_id and t.id = m.team_id
      where m.tenant_id = in_tenant and m.user_id = principal and t.deleted_at is null
      order by m.team_id);
  else
    member_role := live.kind;
    if live.kind <> 'tenant' and live.kind <> 'system' then
      stands_for := stands_for || in_tenant;
    end if;
    if live.kind = 'key' then
      select
        coalesce(k.expires_at, 'infinity'),
        case when k.revoked_at is null then 'active' else 'RH005' end,
        case when k.permissions ? 'write' then 'w' else 'r' end,
        k.scopes -> 'projects'
      into expiry, verdict, may, only_projects
      from rowhouse.api_keys k
      where k.tenant_id = in_tenant and k.id = principal;
    end if;
  end if;

  if member_role = any ('{owner,admin,key,job,system}') then
    in_projects := array(
      select p.id from rowhouse.projects p
      where p.tenant_id = in_tenant
        and (p.deleted_at is null or member_role = 'job') -- what lies in one is copied, and erased, with the tenant
        and (only_projects is null or only_projects ? p.id::text)
      order by p.id);
  elsif live.kind = 'user' then
    select
      coalesce(array_agg(p.id order by p.id), '{}'),
      coalesce(array_agg(p.id order by p.id) filter (where r.role = any ('{editor,admin}')), '{}'),
      coalesce(array_agg(p.id order by p.id) filter (where r.role = 'admin'), '{}')
    into in_projects, edited, administered
    from rowhouse.projects p
    join rowhouse.user_project_roles r on r.tenant_id = p.tenant_id and r.project_id = p.id
    where p.tenant_id = in_tenant and r.user_id = principal and p.deleted_at is null;
  end if;
  if cardinality(stands_for) > 256 then
    verdict := 'RH007';
  end if;

  update rowhouse_private.liveness l
  set own_state = verdict,
    expires_at = case when live.kind = 'user' then l.expires_at else expiry end, -- a session's own is in its row
    access = may,
    role = coalesce(member_role, 'none'),
    projects = in_projects,
    principals = stands_for,
    edits = edited,
    administers = administered,
    packed = format('%s;%s;%s;%s;%s;%s;%s',
      may, coalesce(member_role, 'none'), in_projects, stands_for, edited, administered, l.credential_id),
    packed_read = format('r;%s;%s;%s;%s;%s;%s',
      coalesce(member_role, 'none'), in_projects, stands_for, edited, administered, l.credential_id),
    updated_at = clock_timestamp()
  where l.tenant_id = in_tenant and l.principal_id = principal;
end

function rowhouse_private.refuse_snapshot() returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  if current_setting('transaction_isolation') = any ('{repeatable read,serializable}'::text[]) then
    raise exception 'who sees a resource, and where it runs, is changed under READ COMMITTED' using errcode = '25001';
  end if;
end

function rowhouse_private.refuse_while_bound() returns void  -- plpgsql, stable, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_migrator, rowhouse_owner
begin
  if coalesce(current_setting('app.tenant_id', true), '') <> '' then
    raise exception 'a tenant is bound: the wall is only changed from outside of every tenant'
      using errcode = '55000', hint = 'Run this in a transaction that did not call rowhouse.enter().';
  end if;
end

function rowhouse_private.resource_deleted() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
declare
  by_hand constant boolean := rowhouse.current_tenant() is null; -- by whoever mends the database, whom no floor binds
begin
  if by_hand then
    perform rowhouse_private.open_as_system(new.tenant_id);
  end if;
  perform rowhouse_private.still_in(new.tenant_id);
  with stopped as (
    update rowhouse.deployments d
    set status = 'stopped'
    where d.tenant_id = new.tenant_id and d.resource_id = new.id and d.deleted_at is null
      and d.status = any ('{pending,active}')
    returning d.id
  )
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, resource_id)
  select new.tenant_id, gen_random_uuid(), 'deployments.stop', s.id, new.id
  from stopped s;
  if by_hand then
    perform rowhouse_private.close();
  end if;
  return null;
end

function rowhouse_private.resource_moved() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.still_in(new.tenant_id);
  update rowhouse.deployments d
  set project_id = new.project_id
  where d.tenant_id = new.tenant_id and d.resource_id = new.id;
  return null;
end

function rowhouse_private.resource_shared() returns trigger  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if not row_security_active(tg_relid)
    or not exists (
    select from rowhouse.managed_tables m
    where m.schema_name = 'rowhouse' and m.table_name = 'resources' and m.mode = 'enforce')
  then
    return new;
  elsif not rowhouse.may_share(old.tenant_id, old.id) then
    raise exception 'who sees the resource is for those to say who administer it' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_shared_by_its_administrators';
  elsif rowhouse.caller_role() = 'job' then
    return new;
  elsif new.workspace_id <> old.workspace_id and not rowhouse.may_use_workspace(new.tenant_id, new.workspace_id) then
    raise exception 'the caller puts nothing into this workspace' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_workspace_usable';
  elsif new.project_id is distinct from old.project_id
    and not coalesce(new.project_id = any (rowhouse.caller_edits()), true)
  then
    raise exception 'the caller puts nothing into this project' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_project_editable';
  elsif new.team_id is distinct from old.team_id
    and not coalesce(new.team_id = any (rowhouse.caller_principals()), true)
  then
    raise exception 'the caller is not in this team' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_team_of_the_caller';
  end if;
  return new;
end

function rowhouse_private.said_by_oneself() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if new.tenant_id is distinct from rowhouse.current_tenant() then
    return new; -- which the floor refuses
  end if;
  perform rowhouse_private.refuse_snapshot();
  perform from rowhouse_private.liveness l
  where l.tenant_id = new.tenant_id and l.principal_id = rowhouse.current_principal()
    and l.credential_id = coalesce(rowhouse_private.current_credential(), l.credential_id)
    and l.state = any ('{active,system}') and l.expires_at > clock_timestamp()
    and l.role = rowhouse.caller_role()
    and rowhouse.caller_principals() <@ l.principals
    and (l.role = any ('{owner,admin}') or rowhouse.caller_administers() <@ l.administers)
  for share;
  if not found then
    raise exception 'the caller is not what he was when he entered' using errcode = 'RH005';
  end if;
  return new;
end

function rowhouse_private.second_look() returns text  -- plpgsql, stable, parallel safe, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
declare
  tenant text;
begin
  if coalesce(current_setting('app.tenant_id', true), '') = '' then
    raise exception 'no tenant is bound to this transaction'
      using errcode = 'RH001', hint = 'Begin with: select rowhouse.enter(ticket)';
  end if;
  select c.tenant into tenant from rowhouse_private.old_context c where c.fits;
  if found then
    return tenant;
  end if;
  raise exception 'the context of this transaction does not fit its seal' using errcode = 'RH002',
    hint = 'The settings app.* were changed after rowhouse.enter(), or carried over from another transaction.';
end

function rowhouse_private.still_in(tenant uuid) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  if tenant is distinct from rowhouse.current_tenant() then
    raise exception 'the context was changed before the statement had ended' using errcode = 'RH002';
  end if;
end

function rowhouse_private.take_name(kind text, name text, tenant uuid, id uuid) returns void  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: nobody else
begin
  insert into rowhouse.locator as l (kind, digest, tenant_id, id)
  values (take_name.kind, sha256(convert_to(take_name.name, 'UTF8')), tenant, take_name.id)
  on conflict on constraint locator_pkey do update set updated_at = clock_timestamp() where l.id = excluded.id;
  if not found then
    raise exception 'this % is taken', kind using errcode = '23505', schema = 'rowhouse', table = 'locator',
      constraint = 'locator_pkey';
  end if;
end

function rowhouse_private.team_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.managed_by_caller(new.tenant_id);
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (new.tenant_id, new.id, 'team');
  else
    update rowhouse.principals p set deleted_at = new.deleted_at where p.tenant_id = new.tenant_id and p.id = new.id;
    if new.deleted_at is distinct from old.deleted_at then
      perform rowhouse_private.refresh(m.tenant_id, m.user_id)
      from rowhouse.team_members m
      where m.tenant_id = new.tenant_id and m.team_id = new.id
      order by m.user_id;
    end if;
  end if;
  return null;
end

function rowhouse_private.tenant_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if tg_op = 'INSERT' or new.slug <> old.slug then
    perform rowhouse_private.take_name('slug', new.slug, new.id, new.id);
  end if;
  insert into rowhouse_private.tenant_states as s (tenant_id, state)
  values (new.id, rowhouse_private.tenant_state(new.status, new.placement, new.deleted_at))
  on conflict on constraint tenant_states_pkey do update set state = excluded.state, updated_at = clock_timestamp()
  where s.state <> excluded.state;
  return null;
end

function rowhouse_private.tenant_state(status text, placement text, deleted_at timestamp with time zone) returns text  -- sql, immutable, parallel safe; owner rowhouse_definer; execute: nobody else
(body: see migrations)

function rowhouse_private.touch() returns trigger  -- plpgsql, volatile, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  new.updated_at := clock_timestamp();
  return new;
end

function rowhouse_private.user_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  if tg_op = 'INSERT' or new.email <> old.email then
    perform rowhouse_private.take_name('email', lower(new.email), null, new.id);
  end if;
  if tg_op = 'UPDATE' and new.deleted_at is distinct from old.deleted_at then
    update rowhouse_private.liveness
    set user_gone = new.deleted_at is not null, updated_at = clock_timestamp()
    where user_id = new.id;
    -- Should he come back, he signs in anew.
    delete from rowhouse_private.liveness
    where user_id = new.id and credential_id <> '00000000-0000-0000-0000-000000000000';
  end if;
  return null;
end

function rowhouse_private.workspace_changed() returns trigger  -- plpgsql, volatile, security definer, set search_path=pg_catalog, pg_temp; owner rowhouse_definer; execute: rowhouse_owner
begin
  perform rowhouse_private.managed_by_caller(new.tenant_id);
  if new.deleted_at is not null and not exists (
    select from rowhouse.workspaces w where w.tenant_id = new.tenant_id and w.deleted_at is null)
  then
    raise exception 'a tenant keeps its last workspace' using errcode = '23514',
      schema = 'rowhouse', table = 'workspaces', constraint = 'workspaces_last';
  end if;
  return null;
end
