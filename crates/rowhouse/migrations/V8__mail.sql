-- The outbox: a mail is written in the transaction that causes it, and sent by a worker afterwards. So there is no mail of
-- what was rolled back, and none is lost with the process that meant to send it.

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
  text text constraint outbox_text_length check (octet_length(text) <= 100000), -- gone as soon as nothing is left to do
  status text not null default 'queued' constraint outbox_status check (status in ('queued', 'sent', 'failed')),
  attempts integer not null default 0,
  last_error text, -- what the mail server said; no address, no text
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint outbox_pkey primary key (tenant_id, id),
  constraint outbox_text_while_queued check ((status = 'queued') = (text is not null))
);
select rowhouse.raise_wall('rowhouse.outbox', 'admin', 'enforce');

-- A mail holds what lets its reader in. Inside the tenant nobody reads it, its owners neither: they queue.
drop policy inside on rowhouse.outbox;
drop policy managers on rowhouse.outbox;
create policy managers_queue on rowhouse.outbox for insert to rowhouse_app
with check ((select rowhouse.caller_role()) = any ('{owner,admin}'::text[]));
grant insert (tenant_id, id, recipient, subject, text) on rowhouse.outbox
to rowhouse_app, rowhouse_platform, rowhouse_definer; -- the last: rowhouse.invite()
grant select, update (text, status, attempts, last_error, sent_at) on rowhouse.outbox to rowhouse_platform;
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
grant insert on rowhouse.jobs to rowhouse_definer;
create trigger touch before update on rowhouse.jobs for each row execute function rowhouse_private.touch();

set local role rowhouse_definer;

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

set local role rowhouse_owner;
create trigger mail_queued after insert on rowhouse.outbox
for each row execute function rowhouse_private.mail_queued();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
