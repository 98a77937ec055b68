-- The wall itself: the keys of the seal, the liveness rows, and the functions that every policy calls.
-- The schema `rowhouse` exists already: the history of migrations lives in it.
--
-- The path of a context:
--   the process mints a ticket (a context under the ticket key)  ->  enter(ticket) verifies it, reads one
--   liveness row, and writes four settings of the transaction  ->  bound_tenant() believes these settings only
--   while their seal, a MAC under a key that never leaves this database, fits them and this transaction.
--
-- Tables here belong to rowhouse_owner, functions to rowhouse_definer: see roles.sql.
--
-- Two kinds of function bodies: `return ..` and `begin atomic` are parsed here, once, so their names mean for ever
-- what they mean today. plpgsql is parsed under the caller's search_path: there, either the function sets its own, or
-- (bound_tenant, enter: a SET clause costs them too much) every name, type and operator is qualified, and no syntax
-- stands that looks an operator up by itself (CASE x WHEN, IN, BETWEEN, NULLIF, IS DISTINCT FROM).
--
-- A key is a column of a query, and nothing else: never a variable, a parameter or a constant. Callers can have plans
-- printed (debug_print_plan, client_min_messages), and a variable becomes a constant of a plan when plpgsql plans an
-- expression anew whose last evaluation in this transaction failed.

revoke create on schema public from public;
do $$
begin
  execute format('revoke temporary on database %I from public', current_database());
end
$$;

-- What every login may do by default and no tenant should do to another: tenants share one login, so they share its
-- large objects and may end its sessions. Only a superuser can take it away; elsewhere it is said openly.
do $$
declare
  function regprocedure;
begin
  for function in
    select oid from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace
      and (proname ~ '^lo_' or proname in ('loread', 'lowrite', 'pg_cancel_backend', 'pg_terminate_backend'))
  loop
    execute format('revoke execute on function %s from public', function);
  end loop;
exception when insufficient_privilege then
  null;
end
$$;

create schema rowhouse_private authorization rowhouse_owner;
grant usage on schema rowhouse to public;
grant usage on schema rowhouse_private to rowhouse_definer, rowhouse_sealer;
grant create on schema rowhouse, rowhouse_private to rowhouse_definer; -- taken back at the end of each migration
alter default privileges for role rowhouse_definer revoke execute on functions from public;

set local role rowhouse_owner;

-- Exactly one row, so that a policy reads it without an index. A rotation moves each key to `old_`: what was
-- sealed or minted under it stays good until the next rotation.
create table rowhouse_private.keyring (
  single boolean not null default true constraint keyring_pkey primary key constraint keyring_one_row check (single),
  ticket_head bytea not null constraint keyring_ticket_head_2_bytes check (octet_length(ticket_head) = 2), -- version, key id
  ticket_key bytea not null constraint keyring_ticket_key_64_bytes check (octet_length(ticket_key) = 64),
  seal_key bytea not null constraint keyring_seal_key_64_bytes check (octet_length(seal_key) = 64),
  old_ticket_head bytea,
  old_ticket_key bytea,
  old_seal_key bytea,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
grant select, insert, update on rowhouse_private.keyring to rowhouse_definer;
grant select (ticket_head, ticket_key) on rowhouse_private.keyring to rowhouse_sealer;

-- Whether a tenant may be entered at all. A row of its own, which nothing inside of the tenant ever locks: a tenant must
-- not be able to hold up its own suspension. Kept by a trigger.
create table rowhouse_private.tenant_states (
  tenant_id uuid not null constraint tenant_states_pkey primary key,
  state text not null, -- 'active', or the SQLSTATE with which to refuse
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 80);
grant select, insert, update on rowhouse_private.tenant_states to rowhouse_definer;

-- What `enter` needs to know of a caller, in one row: may this principal, with this credential, enter this tenant
-- now, and as what. Kept by triggers, in the transaction that changes a member, key or project. The row of the principal
-- `tenant` is also the lock of the tenant's administration: see one_at_a_time().
create table rowhouse_private.liveness (
  tenant_id uuid not null,
  principal_id uuid not null,
  credential_id uuid not null, -- the API key or session; the nil UUID when an embedding service vouches for the caller
  kind text not null,
  own_state text not null default 'RH005',  -- 'active', or the SQLSTATE with which to refuse
  user_gone boolean not null default false, -- the user was deleted from the platform
  expires_at timestamptz not null default 'infinity',
  access text not null default 'r', -- 'r' or 'w': the most that a ticket can ask for
  role text not null default 'none',
  user_id uuid,
  projects uuid[] not null default '{}',
  principals uuid[] not null default '{}',
  edits uuid[] not null default '{}',      -- of the projects, those in which it may write what is the project's
  administers uuid[] not null default '{}', -- and those in which it says who may
  -- app.context for a ticket that asks to write, and for one that asks to read:
  -- access;role;{projects};{principals};{edits};{administers};credential
  packed text not null default '',
  packed_read text not null default '',
  state text not null generated always as (case
    when user_gone then 'RH005'
    when own_state <> 'active' then own_state
    when kind = 'system' then 'system' -- to be looked at more closely: it may enter from a platform login only
    else 'active'
  end) stored,
  tenant_text text not null generated always as (tenant_id::text) stored,
  user_text text not null generated always as (coalesce(user_id::text, '')) stored,
  -- bytes 2 to 49 of the ticket, so that `enter` finds the row without taking the ticket apart
  lookup bytea not null generated always as (uuid_send(tenant_id) || uuid_send(principal_id) || uuid_send(credential_id)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint liveness_pkey primary key (tenant_id, principal_id, credential_id),
  constraint liveness_lookup unique (lookup)
) with (fillfactor = 80);
create index liveness_by_user on rowhouse_private.liveness (user_id) where user_id is not null;
grant select, insert, update, delete on rowhouse_private.liveness to rowhouse_definer;

-- The settings of this transaction, and whether their seal fits the key of now, or the one before. The message is
-- unambiguous: a tenant is checked to be a UUID by whoever reads it, and neither a user's id nor the packed context
-- holds a slash. Both seals are hashed once more, so that the time to compare tells nothing of the right one.
create view rowhouse_private.context with (security_invoker = true) as
select
  sha256(textsend(current_setting('app.seal', true))) = sha256(textsend(encode(sha256(
    k.seal_key
    || timestamptz_send(transaction_timestamp())
    || textsend(current_setting('app.tenant_id', true) || current_setting('app.user_id', true)
      || '/' || current_setting('app.context', true))
    || k.seal_key), 'hex'))) as fits,
  current_setting('app.tenant_id', true) as tenant
from rowhouse_private.keyring k;

create view rowhouse_private.old_context with (security_invoker = true) as
select
  sha256(textsend(current_setting('app.seal', true))) = sha256(textsend(encode(sha256(
    k.old_seal_key
    || timestamptz_send(transaction_timestamp())
    || textsend(current_setting('app.tenant_id', true) || current_setting('app.user_id', true)
      || '/' || current_setting('app.context', true))
    || k.old_seal_key), 'hex'))) as fits,
  current_setting('app.tenant_id', true) as tenant
from rowhouse_private.keyring k;
grant select on rowhouse_private.context, rowhouse_private.old_context to rowhouse_definer;

set local role rowhouse_definer;

-- 64 random bytes; gen_random_uuid() draws from the same strong source as pgcrypto.
create function rowhouse_private.new_key() returns bytea
language sql volatile
return sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
  || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- Why this transaction's context is not believed. Only called when the seal did not fit the current key; it answers
-- only when it fits the key before, and raises otherwise.
create function rowhouse_private.second_look() returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- The tenant that this transaction may read. Every floor calls it, once per relation and statement: the hottest code
-- here. One query and no other expression: in plpgsql each costs a set-up per transaction.
create function rowhouse.bound_tenant() returns uuid
language plpgsql stable parallel safe security definer cost 10
as $$
begin
  return (
    select case when c.fits then c.tenant else rowhouse_private.second_look() end::pg_catalog.uuid
    from rowhouse_private.context c);
end
$$;

-- Stands in each floor and is gone from every plan: IMMUTABLE and without arguments, so the planner runs it, each time it
-- plans a statement over a walled table, before it looks at anything else of it. It is there for that moment. Postgres
-- tries a caller's condition before the floor when it is leakproof, costs less than ten operators, and not more than the
-- floor; and the caller decides whether something fails or waits when it holds:
--   case when title > any ('{M}') then (select 1 / (random() * 0)::int) is null end
-- So texts of other tenants could be read letter by letter. Where operators cost nothing, no condition costs less than
-- ten of them, and each level of security waits for the one before it. Whatever the caller makes of the setting, he does
-- it before this runs or after the plan is made.
create function rowhouse.floor_first() returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('cpu_operator_cost') <> '0' then -- asked first: inside a parallel worker nothing can be set
    perform set_config('cpu_operator_cost', '0', true);
  end if;
  return true;
end
$$;

-- The tenant that this transaction may write to; raises under a context that may only read.
create function rowhouse.writable_tenant() returns uuid
language plpgsql stable parallel safe security definer cost 10
set search_path = pg_catalog, pg_temp
as $$
declare
  bound uuid := rowhouse.bound_tenant();
begin
  if starts_with(current_setting('app.context', true), 'w') then
    return bound;
  end if;
  raise exception 'this context may only read' using errcode = 'RH006';
end
$$;

-- All below answer NULL or nothing when no tenant is bound, and raise when the context was tampered with.

create function rowhouse.current_tenant() returns uuid
language sql stable parallel safe
return case when coalesce(current_setting('app.tenant_id', true), '') <> '' then rowhouse.bound_tenant() end;

create function rowhouse.current_user_id() returns uuid
language sql stable parallel safe
return case when rowhouse.current_tenant() is not null then nullif(current_setting('app.user_id', true), '')::uuid end;

-- The ids in this part of the context. Nobody looks at the seal here: whoever asks has asked for current_tenant(), or asks for
-- pairs, too, and has these lead to an index.
create function rowhouse.ids(part integer) returns uuid[]
language sql stable parallel safe
return split_part(current_setting('app.context', true), ';', part)::uuid[];

create function rowhouse.current_projects() returns uuid[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::uuid[] else rowhouse.ids(3) end;

create function rowhouse.caller_principals() returns uuid[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::uuid[] else rowhouse.ids(4) end;

-- What can be meant for the caller: itself and whom it stands for, and its projects.
create function rowhouse.caller_audiences() returns uuid[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::uuid[] else rowhouse.ids(4) || rowhouse.ids(3) end;

-- Of these, where it may change what is meant for them: a key and a manager of the tenant everywhere.
create function rowhouse.caller_edits() returns uuid[]
language sql stable parallel safe
return case
  when rowhouse.current_tenant() is null then '{}'::uuid[]
  when split_part(current_setting('app.context', true), ';', 2) = any ('{owner,admin,key}'::text[])
    then rowhouse.ids(4) || rowhouse.ids(3)
  else rowhouse.ids(5)
end;

-- And where it may say who else may: a manager of the tenant everywhere.
create function rowhouse.caller_administers() returns uuid[]
language sql stable parallel safe
return case
  when rowhouse.current_tenant() is null then '{}'::uuid[]
  when split_part(current_setting('app.context', true), ';', 2) = any ('{owner,admin}'::text[])
    then rowhouse.ids(4) || rowhouse.ids(3)
  else rowhouse.ids(6)
end;

-- A row's tenant and an id of the row, as one. The lists below hold the caller's ids in the same form, each with the tenant of
-- the context that it was read from. Policies compare these (ADR 013): they ask for each list when the first row needs it, and in
-- between a statement may have entered again.
create function rowhouse.pair(tenant uuid, id uuid) returns text
language sql immutable parallel safe
return tenant::text || id::text;

-- As ids(), each with the context's tenant before it.
create function rowhouse.pairs(part integer) returns text[]
language sql stable parallel safe
return ('{' || current_setting('app.tenant_id', true) || replace(
  btrim(split_part(current_setting('app.context', true), ';', part), '{}'),
  ',', ',' || current_setting('app.tenant_id', true)) || '}')::text[];

create function rowhouse.principals_inside() returns text[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::text[] else rowhouse.pairs(4) end;

create function rowhouse.projects_inside() returns text[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::text[] else rowhouse.pairs(3) end;

create function rowhouse.audiences_inside() returns text[]
language sql stable parallel safe
return case when rowhouse.current_tenant() is null then '{}'::text[] else rowhouse.pairs(4) || rowhouse.pairs(3) end;

create function rowhouse.edits_inside() returns text[]
language sql stable parallel safe
return case
  when rowhouse.current_tenant() is null then '{}'::text[]
  when split_part(current_setting('app.context', true), ';', 2) = any ('{owner,admin,key}'::text[])
    then rowhouse.pairs(4) || rowhouse.pairs(3)
  else rowhouse.pairs(5)
end;

create function rowhouse.administers_inside() returns text[]
language sql stable parallel safe
return case
  when rowhouse.current_tenant() is null then '{}'::text[]
  when split_part(current_setting('app.context', true), ';', 2) = any ('{owner,admin}'::text[])
    then rowhouse.pairs(4) || rowhouse.pairs(3)
  else rowhouse.pairs(6)
end;

-- The caller itself, first among its principals: the actor of audit rows.
create function rowhouse.current_principal() returns uuid
language sql stable parallel safe
return (rowhouse.caller_principals())[1];

-- owner, admin, member, viewer; or key, tenant, job, system for callers that are not people.
create function rowhouse.caller_role() returns text
language sql stable parallel safe
return case when rowhouse.current_tenant() is not null then split_part(current_setting('app.context', true), ';', 2) end;

-- The session or key by which the caller came in; none of a principal that came as itself.
create function rowhouse_private.current_credential() returns uuid
language sql stable parallel safe
return case
  when rowhouse.current_tenant() is not null then nullif(split_part(current_setting('app.context', true), ';', 7), '')::uuid
end;

-- The default of every tenant_id. Deliberately unverified: WITH CHECK verifies once a statement, a default is
-- evaluated once a row.
create function rowhouse.default_tenant() returns uuid
language sql stable parallel safe
return nullif(current_setting('app.tenant_id', true), '')::uuid;

-- Writes a context into this transaction, under its seal.
create function rowhouse_private.open(tenant uuid, user_id uuid, context text) returns text
language sql volatile
return (
  select set_config('app.seal', encode(sha256(
    k.seal_key
    || timestamptz_send(transaction_timestamp())
    || textsend(
      set_config('app.tenant_id', tenant::text, true)
      || set_config('app.user_id', coalesce(user_id::text, ''), true)
      || '/'
      || set_config('app.context', context, true))
    || k.seal_key), 'hex'), true)
  from rowhouse_private.keyring k);

-- Was this ticket minted under the current ticket key, or the one before? Null: there are no keys.
create function rowhouse_private.is_ours(ticket bytea) returns boolean
language sql stable
return (
  select coalesce(
    (substring(ticket, 1, 2) = k.ticket_head
      and sha256(substring(ticket, 76)) = sha256(sha256(k.ticket_key || substring(ticket, 1, 75) || k.ticket_key)))
    or (substring(ticket, 1, 2) = k.old_ticket_head
      and sha256(substring(ticket, 76)) = sha256(sha256(k.old_ticket_key || substring(ticket, 1, 75) || k.old_ticket_key))),
    false)
  from rowhouse_private.keyring k);

-- All that `enter` has to say about a ticket, in order: nothing is said about a tenant before the tag was found good.
-- `enter` itself only knows the plain case, and comes here for every other.
create function rowhouse_private.enter_closely(ticket bytea) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Opens the context of `ticket` for the rest of this transaction. Layout of a ticket, 107 bytes:
--   0 version = 1 | 1 key id | 2 tenant | 18 principal | 34 credential, or nil | 50 project, or nil
--   66 access: 'r' or 'w' | 67 expiry, as timestamptz_send() writes it | 75 tag
-- The tag is sha256(key || bytes 0 to 74 || key). A byte more or less fails it, since it is hashed to its end.
-- One query and no other expression: in plpgsql each costs a set-up per transaction. Writes to no table, so it runs
-- on a standby too. May be called again, with another ticket, in the same transaction.
create function rowhouse.enter(ticket bytea) returns void
language plpgsql volatile parallel unsafe security definer
as $$
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
$$;

-- What the last borrower of a connection left behind that a later one could stumble over; empty when it is clean. `ours` is
-- how many statements the driver has prepared on it: somebody may have thrown some away. What the driver asks of types for
-- itself does not count. To be called as simple-protocol text, outside a transaction, after `reset all`. It is asked behind
-- each transaction: plpgsql keeps its plan.
create function rowhouse.residue(ours bigint default 0) returns text[]
language plpgsql volatile parallel unsafe
as $$
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
$$;

-- New keys for tickets and seals; the keys of before stay good until the next rotation. The first call makes the keyring.
create function rowhouse.rotate_seal() returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
begin atomic
  insert into rowhouse_private.keyring as k (ticket_head, ticket_key, seal_key)
  values ('\x0101', rowhouse_private.new_key(), rowhouse_private.new_key())
  on conflict (single) do update set
    old_ticket_head = k.ticket_head,
    old_ticket_key = k.ticket_key,
    old_seal_key = k.seal_key,
    ticket_head = set_byte(k.ticket_head, 1, get_byte(k.ticket_head, 1) % 255 + 1),
    ticket_key = excluded.ticket_key,
    seal_key = excluded.seal_key,
    updated_at = clock_timestamp();
end;
select rowhouse.rotate_seal();

-- For BEFORE UPDATE triggers.
create function rowhouse_private.touch() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end
$$;

grant execute on function
  rowhouse.enter, rowhouse.bound_tenant, rowhouse.floor_first, rowhouse.writable_tenant, rowhouse.current_tenant,
  rowhouse.current_user_id, rowhouse.ids, rowhouse.current_projects, rowhouse.caller_principals,
  rowhouse.current_principal, rowhouse.caller_role,
  rowhouse.caller_audiences, rowhouse.caller_edits, rowhouse.caller_administers, rowhouse.pair, rowhouse.pairs,
  rowhouse.audiences_inside, rowhouse.principals_inside, rowhouse.projects_inside, rowhouse.edits_inside,
  rowhouse.administers_inside, rowhouse.default_tenant, rowhouse.residue
to public; -- whoever a policy is asked of must be able to call it; without a ticket they say nothing
grant execute on function rowhouse.rotate_seal to rowhouse_migrator;

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
