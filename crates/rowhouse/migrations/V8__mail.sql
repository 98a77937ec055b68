-- The outbox: a mail is written in the transaction that causes it, and sent by a worker afterwards. So there is no mail of
-- what was rolled back, and none is lost with the process that meant to send it.
--
-- A mail holds what lets its reader in. So it is read by one login only, which does nothing else: it has no table, and the two
-- functions below.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.outbox (
  tenant_id uuid not null default rowhouse.default_tenant() constraint outbox_tenant references rowhouse.tenants (id),
  id uuid not null, -- its Message-ID is made of it
  -- One plain address, one line: what would end a header, or begin another address, is refused here too.
  recipient text not null constraint outbox_recipient_is_an_address
    check (octet_length(recipient) between 3 and 254 and recipient like '_%@_%' and recipient collate "C" !~ '[\x01-\x20\x7f<>,;"]'),
  subject text not null constraint outbox_subject_is_a_line
    check (octet_length(subject) between 1 and 2000 and subject collate "C" !~ '[\x01-\x1f\x7f]'),
  -- Both are gone as soon as nothing is left to do.
  text text constraint outbox_text_length check (octet_length(text) <= 100000),
  token text, -- of an invitation: whoever sends makes a link of it, and puts it where `{link}` last stands in the text
  status text not null default 'queued' constraint outbox_status check (status in ('queued', 'sent', 'failed')),
  attempts integer not null default 0,
  last_error text, -- what the mail server said; no address, no text
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint outbox_pkey primary key (tenant_id, id),
  constraint outbox_text_while_queued check ((status = 'queued') = (text is not null)),
  constraint outbox_token_while_queued check (token is null or status = 'queued')
);
select rowhouse.raise_wall('rowhouse.outbox', 'admin', 'enforce');

-- Inside the tenant nobody reads it, and nobody writes it either but by rowhouse.invite(): a mail comes in the platform's name,
-- so what it says is the platform's.
drop policy inside on rowhouse.outbox;
drop policy managers on rowhouse.outbox;
grant insert (tenant_id, id, recipient, subject, text) on rowhouse.outbox to rowhouse_platform;
grant insert (tenant_id, id, recipient, subject, text, token) on rowhouse.outbox to rowhouse_definer; -- rowhouse.invite()
grant select, update (text, token, status, attempts, last_error, sent_at) on rowhouse.outbox to rowhouse_definer;
create trigger touch before update on rowhouse.outbox for each row execute function rowhouse_private.touch();

-- What a worker has to do, for all tenants: where to look and when, and nothing of what is there. The key leads with
-- the tenant: ids are chosen by callers.
create table rowhouse.jobs (
  tenant_id uuid not null,
  kind text not null constraint jobs_kind check (kind in ('mail', 'provision')),
  id uuid not null,
  due_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint jobs_pkey primary key (tenant_id, kind, id)
);
create index jobs_due on rowhouse.jobs (kind, due_at);
alter table rowhouse.jobs enable row level security, force row level security;
create policy platform on rowhouse.jobs for all to rowhouse_platform, rowhouse_definer, rowhouse_migrator
using (true) with check (true);
grant select, update (due_at), delete on rowhouse.jobs to rowhouse_platform;
grant select, insert, update (due_at), delete on rowhouse.jobs to rowhouse_definer;
create trigger touch before update on rowhouse.jobs for each row execute function rowhouse_private.touch();

set local role rowhouse_definer;

-- Enters a tenant as the platform does, for a function that has to work inside of it.
create function rowhouse_private.open_as_system(tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.open(
    tenant, null, format('w;system;{};{%s};{};{}', rowhouse.service_principal(tenant, 'system')));
end
$$;

-- Who was removed or demoted since he entered queues nothing either.
create function rowhouse_private.mail_queued() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.managed_by_caller(new.tenant_id);
  insert into rowhouse.jobs (tenant_id, kind, id, due_at) values (new.tenant_id, 'mail', new.id, clock_timestamp());
  return null;
end
$$;
grant execute on function rowhouse_private.mail_queued to rowhouse_owner;

-- The mail that has been due for longest, for whoever commits: nobody else is given it for `lease` seconds. The attempt
-- counts from here on, also when its sender falls. Mail of tenants that are closed or elsewhere waits.
create function rowhouse.take_mail(lease double precision)
returns table (
  tenant_id uuid, id uuid, recipient text, subject text, text text, token text, attempt integer, queued_at timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- How this attempt went: `sent`, `failed` for good, or `queued` again for `again_in` seconds from now. False when the mail has
-- been taken again since, or is done: then nothing is noted.
create function rowhouse.note_mail(
  tenant uuid, mail uuid, attempt integer, status text, why text, again_in double precision, trail uuid) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;
grant execute on function rowhouse.take_mail, rowhouse.note_mail to rowhouse_mailer;

set local role rowhouse_owner;
create trigger mail_queued after insert on rowhouse.outbox
for each row execute function rowhouse_private.mail_queued();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
