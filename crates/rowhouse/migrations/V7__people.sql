-- How people come in: invitations, and the sessions that they then hold. Class `admin`.
--
-- Each function here that lets somebody in takes two keys, of which no login has both: the platform's login calls it, and
-- presents what that login cannot make: a ticket (minted by a process that holds the ticket key) or an invitation's token
-- (sent by mail to its address). So SQL inside a tenant makes nobody a member and opens no session, of which the same
-- user's other tenants would have to fear; and an operator does not let himself in.
--
-- An invitation's token is made here, put into the mail here, and told to nobody else: an admin who knew one could become
-- the person that he invited, in each tenant that this person belongs to.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.invitations (
  tenant_id uuid not null default rowhouse.default_tenant() constraint invitations_tenant references rowhouse.tenants (id),
  id uuid not null,
  email text not null constraint invitations_email_in_one_form check (email is nfkc normalized and strpos(email, chr(304)) = 0),
  role text not null constraint invitations_role check (role in ('owner', 'admin', 'member', 'viewer')),
  digest bytea not null constraint invitations_digest_sha256 check (octet_length(digest) = 32), -- by which `locate` finds it
  invited_by uuid not null default rowhouse.current_principal(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  accepted_at timestamptz,
  accepted_by uuid,
  mail_id uuid not null, -- in the outbox
  mail text not null default 'queued' constraint invitations_mail check (mail in ('queued', 'sent', 'failed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint invitations_pkey primary key (tenant_id, id),
  constraint invitations_inviter foreign key (tenant_id, invited_by) references rowhouse.principals (tenant_id, id),
  constraint invitations_accepter foreign key (tenant_id, accepted_by) references rowhouse.principals (tenant_id, id),
  constraint invitations_by_whom check ((accepted_at is null) = (accepted_by is null)),
  constraint invitations_used_once check (accepted_at is null or revoked_at is null),
  constraint invitations_end check (expires_at <= created_at + interval '720 hours')
);
create index invitations_by_mail on rowhouse.invitations (tenant_id, mail_id);
create index invitations_by_age on rowhouse.invitations (tenant_id, created_at desc, id desc);

create table rowhouse.sessions (
  tenant_id uuid not null default rowhouse.default_tenant() constraint sessions_tenant references rowhouse.tenants (id),
  id uuid not null,
  user_id uuid not null,
  digest bytea not null constraint sessions_digest_sha256 check (octet_length(digest) = 32), -- by which `locate` finds it
  only_here boolean not null default false, -- it opens no session in another tenant
  expires_at timestamptz not null,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sessions_pkey primary key (tenant_id, id),
  constraint sessions_user foreign key (tenant_id, user_id) references rowhouse.principals (tenant_id, id),
  constraint sessions_end check (expires_at <= created_at + interval '720 hours')
);
create index sessions_by_age on rowhouse.sessions (tenant_id, created_at desc, id desc);
create index sessions_by_user on rowhouse.sessions (tenant_id, user_id, created_at desc, id desc);

select rowhouse.raise_wall('rowhouse.invitations', 'admin', 'enforce');
select rowhouse.raise_wall('rowhouse.sessions', 'admin', 'enforce');
-- Whom the tenant has asked, and who is signed in where, is not for every member to see.
drop policy inside on rowhouse.invitations;
drop policy inside on rowhouse.sessions;
create policy own on rowhouse.sessions for select to rowhouse_app
using ((tenant_id, user_id) = (select rowhouse.bound_tenant(), rowhouse.current_user_id()));

create trigger touch before update on rowhouse.invitations for each row execute function rowhouse_private.touch();
create trigger touch before update on rowhouse.sessions for each row execute function rowhouse_private.touch();

-- No right to write: by the functions below, and, to revoke an invitation, by its one column.
grant
  select (
    tenant_id, id, email, role, invited_by, expires_at, revoked_at, accepted_at, accepted_by, mail, created_at, updated_at),
  update (revoked_at)
on rowhouse.invitations to rowhouse_app, rowhouse_platform;
grant select (tenant_id, id, user_id, only_here, expires_at, revoked_at, created_at, updated_at)
on rowhouse.sessions to rowhouse_app, rowhouse_platform;
grant select, insert, update (revoked_at, accepted_at, accepted_by, mail, updated_at) on rowhouse.invitations to rowhouse_definer;
grant select, insert, update (revoked_at, updated_at) on rowhouse.sessions to rowhouse_definer;
grant insert (id, email, name) on rowhouse.users to rowhouse_definer;

set local role rowhouse_definer;

-- Invites an address, and sends the token there. No word of the mail is the caller's, and least of all the link: he could
-- have it lead to himself, and whoever opened it would bring him the token. A statement of one query, so that the token is
-- a column of it and never a constant of a plan, which callers can have printed.
create function rowhouse.invite(id uuid, email text, role text, expires_at timestamptz, mail uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

create function rowhouse_private.invitation_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.one_at_a_time(new.tenant_id);
  if old.revoked_at is not null and new.revoked_at is null then
    raise exception 'a revoked invitation stays revoked' using errcode = '42501',
      schema = 'rowhouse', table = 'invitations', constraint = 'invitations_revoked_for_good';
  end if;
  return null;
end
$$;

-- There is always a place for a resource.
create function rowhouse_private.workspace_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Leaves the tenant that a function has entered for itself.
create function rowhouse_private.close() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config(setting, '', true)
  from unnest('{app.tenant_id,app.user_id,app.context,app.seal}'::text[]) setting;
end
$$;

-- A session of somebody who may enter now, as a credential of his own: `enter` finds it or does not.
create function rowhouse_private.add_session(
  in_tenant uuid, of_user uuid, id uuid, digest bytea, expires_at timestamptz, only_here boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

create function rowhouse_private.end_sessions(in_tenant uuid, of_user uuid, only_this uuid default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Nothing that is pending brings him back, nor others by what he left. It stands behind member_changed, by its name.
create function rowhouse_private.member_went() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Who sees a resource is said by somebody who still is what he was when he entered; who was removed or demoted since leaves no
-- friend behind, be it by an entry, as an owner, or in another project. Asked right before the policy is, or the trigger
-- `shared`, under the same context: behind it, the statement may have entered again.
create function rowhouse_private.said_by_oneself() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- And for somebody who is there: of two transactions that give him one and remove him, the second sees the first.
create function rowhouse_private.entry_received() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- The context in which a viewer may do what every member may do with himself. To be put back by open().
create function rowhouse_private.as_oneself() returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  role constant text := rowhouse.caller_role(); -- and nothing here is believed before its seal was
  context constant text := current_setting('app.context', true);
begin
  if role = 'viewer' then
    perform rowhouse_private.open(rowhouse.bound_tenant(), rowhouse.current_user_id(), 'w' || substring(context, 2));
  end if;
  return context;
end
$$;

-- Ends a session: one's own, or, for who manages the tenant, a member's. Answers whether there was one.
create function rowhouse.end_session(session uuid) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- The caller goes, with its teams and roles. Its own say is enough, whatever it is in the tenant.
create function rowhouse.leave() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- A user becomes a member because an owner or admin says so, for whom a process vouches by a ticket: a service that signs
-- its people in itself.
create function rowhouse.add_member(ticket bytea, user_id uuid, role text, trail uuid, request_id text default null)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.refuse_while_bound();
  perform rowhouse.enter(ticket);
  insert into rowhouse.tenant_members (tenant_id, user_id, role)
  values (rowhouse.writable_tenant(), add_member.user_id, add_member.role);
  insert into rowhouse.audit_log (id, action, object_id, request_id, detail)
  values (trail, 'members.add', add_member.user_id, add_member.request_id, jsonb_build_object('role', add_member.role));
  perform rowhouse_private.close();
end
$$;

-- A session for whom the ticket names: a user, by the service's word (credential nil), with all that he may do. A ticket that
-- was narrowed (to reading, or a project) is not widened by it.
create function rowhouse.open_session(
  ticket bytea, id uuid, digest bytea, expires_at timestamptz, trail uuid, request_id text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- For whoever opens a session by another one: that one is good now, and does not end before this transaction does. Asked behind
-- open_session(), which takes the lock of its tenant: so of two that switch at once, none waits for that while he holds this.
create function rowhouse.hold_session(ticket bytea) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Whoever presents an invitation's token becomes a member, as the user of its address, who is made where there is none, and
-- gets a session. Answers nothing when there is no such invitation. The member is added with the rights that the inviter
-- has now: who was removed or demoted since brings nobody in. The session of somebody who was here before is good in this tenant
-- only: whoever reads one mail of his, or made the platform believe that an address is his, is not therefore him everywhere.
create function rowhouse.accept_invitation(
  token text, new_user uuid, name text, session uuid, session_digest bytea, session_ends timestamptz, trail uuid,
  request_id text default null)
returns table (tenant_id uuid, user_id uuid)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Name and address of the members of the bound tenant: the registry's, shown to those who work together.
create function rowhouse.people() returns table (user_id uuid, email text, name text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select u.id, u.email, u.name
  from rowhouse.tenant_members m join rowhouse.users u on u.id = m.user_id
  where m.tenant_id = rowhouse.bound_tenant();
end
$$;

-- Where a user may enter now, as what, in which projects. For the platform's login alone: inside a tenant nobody learns
-- where else its people belong.
create function rowhouse.memberships(of_user uuid)
returns table (tenant_id uuid, slug text, name text, kind text, role text, projects uuid[])
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select t.id, t.slug, t.name, t.kind, l.role, l.projects
  from rowhouse_private.liveness l
  join rowhouse_private.tenant_states s on s.tenant_id = l.tenant_id and s.state = 'active'
  join rowhouse.tenants t on t.id = l.tenant_id
  where l.user_id = of_user and l.credential_id = '00000000-0000-0000-0000-000000000000' and l.state = 'active'
  order by t.created_at, t.id;
end
$$;

grant execute on function rowhouse.invite, rowhouse.end_session, rowhouse.people to rowhouse_app, rowhouse_platform;
grant execute on function rowhouse.leave to rowhouse_app;
grant execute on function rowhouse.add_member, rowhouse.open_session, rowhouse.hold_session, rowhouse.accept_invitation,
  rowhouse.memberships
to rowhouse_platform;
grant execute on function rowhouse_private.workspace_changed, rowhouse_private.invitation_changed, rowhouse_private.member_went,
  rowhouse_private.said_by_oneself, rowhouse_private.entry_received
to rowhouse_owner;

set local role rowhouse_owner;

create trigger invitation_changed after update of revoked_at on rowhouse.invitations
for each row execute function rowhouse_private.invitation_changed();
create trigger workspace_changed after update of deleted_at on rowhouse.workspaces
for each row execute function rowhouse_private.workspace_changed();
create trigger member_went after delete or update of role on rowhouse.tenant_members
for each row execute function rowhouse_private.member_went();
create trigger given before insert or update on rowhouse.resource_acl
for each row when (row_security_active('rowhouse.resource_acl'::regclass))
execute function rowhouse_private.said_by_oneself();
create trigger said before update on rowhouse.resources
for each row
when (row_security_active('rowhouse.resources'::regclass)
  and (old.visibility, old.team_id, old.project_id, old.workspace_id, old.owner_id)
    is distinct from (new.visibility, new.team_id, new.project_id, new.workspace_id, new.owner_id))
execute function rowhouse_private.said_by_oneself();
create trigger received after insert or update on rowhouse.resource_acl -- after the wall has said its word
for each row when (row_security_active('rowhouse.resource_acl'::regclass))
execute function rowhouse_private.entry_received();

-- What was given to a member goes with him, whoever removes him.
create policy going on rowhouse.resource_acl for all to rowhouse_definer using (true) with check (false);
grant select (tenant_id, principal_id), delete on rowhouse.resource_acl to rowhouse_definer;
select rowhouse.set_mode('rowhouse.resource_acl', 'shadow'); -- which notes that there is one more

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
