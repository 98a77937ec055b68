-- The chain over a tenant's trail: who changes, removes or slips in a row later, on the server itself, is noticed.
--
-- A job seals the rows that are there, in batches; no write waits for it. Each batch has a digest over its rows and over the
-- digest of the batch before. Rows that are not sealed yet are the tail: verify names it.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.audit_seals (
  tenant_id uuid not null default rowhouse.default_tenant() constraint audit_seals_tenant references rowhouse.tenants (id),
  number bigint not null,
  rows integer not null,
  digest bytea not null constraint audit_seals_digest_sha256 check (octet_length(digest) = 32),
  created_at timestamptz not null default clock_timestamp(),
  constraint audit_seals_pkey primary key (tenant_id, number)
);
select rowhouse.raise_wall('rowhouse.audit_seals', 'admin', 'enforce');
drop policy managers on rowhouse.audit_seals;
grant select on rowhouse.audit_seals to rowhouse_app, rowhouse_platform;
grant select, insert on rowhouse.audit_seals to rowhouse_definer;

-- The batch that a row is in. Of all columns of the trail the only one that ever changes, once, and by the function below.
alter table rowhouse.audit_log add column seal bigint;
create index audit_log_unsealed on rowhouse.audit_log (tenant_id, created_at, id) where seal is null;
create index audit_log_by_seal on rowhouse.audit_log (tenant_id, seal);
grant update (seal) on rowhouse.audit_log to rowhouse_definer;

set local role rowhouse_definer;

-- What of a row goes into the digest of its batch: all that it says.
create function rowhouse.audit_digest(entry rowhouse.audit_log) returns bytea
language sql stable parallel safe
return sha256(convert_to(
  jsonb_build_array(
    entry.tenant_id, entry.id, entry.actor_id, entry.on_behalf_of, entry.action, entry.object_id, entry.workspace_id,
    entry.project_id, entry.resource_id, entry.request_id, entry.detail,
    to_char(entry.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))::text,
  'UTF8'));

-- The digest of a batch: of its number, the digest before it, and its rows in the order of their ids.
create function rowhouse.audit_chain(number bigint, before bytea, rows bytea) returns bytea
language sql stable parallel safe
return sha256(int8send(number) || coalesce(before, ''::bytea) || coalesce(rows, ''::bytea));

-- Seals up to `most` rows of the bound tenant, the oldest first; answers how many. The platform's, as `system`. Of two at once
-- the second waits for the rows of the first, and then finds them sealed, or the number taken: it seals nothing. Both locks are
-- ones that the application's login cannot hold, as it could an advisory lock.
create function rowhouse.seal_audit(most integer) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

grant execute on function rowhouse.audit_digest, rowhouse.audit_chain to rowhouse_app, rowhouse_platform;
grant execute on function rowhouse.seal_audit to rowhouse_platform;

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
