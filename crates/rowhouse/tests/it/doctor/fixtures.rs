//! Holes in tables, policies, views, functions and constraints.

use rowhouse::tables::doctor::Level::{Error, Info, Warning};

use super::{Base, Fixture, shop};

pub const FIXTURES: &[Fixture] = &[
    shop(
        "rls-off",
        Error,
        "shop.notes",
        "alter table shop.notes disable row level security",
        "",
    ),
    shop(
        "rls-not-forced",
        Error,
        "shop.notes",
        "alter table shop.notes no force row level security; alter role {owner} login",
        "alter role {owner} login",
    ),
    shop(
        "rls-not-forced",
        Warning,
        "shop.notes",
        "alter table shop.notes no force row level security",
        "",
    ),
    shop(
        "table-without-rls",
        Error,
        "shop.drafts",
        "create table shop.drafts (org_id uuid not null, body text); grant select on shop.drafts to {app}",
        // Staging, to which nobody has a right; and a name that means something else here.
        "create table shop.drafts (org_id uuid not null, body text);
         create table shop.bills (customer_id int, total int); grant select on shop.bills to {app}",
    ),
    // A name that often means something else, in a database whose policies ask for it.
    shop(
        "table-without-rls",
        Error,
        "shop.drafts",
        "create table shop.bills (workspace_id uuid not null primary key); alter table shop.bills enable row level security, force row level security;
         create policy own on shop.bills using (workspace_id = (select shop.tenant())); grant select on shop.bills to {app};
         create table shop.drafts (workspace_id uuid not null, body text); grant select on shop.drafts to {app}",
        "",
    ),
    // Unusual names are quoted.
    shop(
        "table-without-rls",
        Error,
        r#"shop."Größe ""x"" %s""#,
        r#"create table shop."Größe ""x"" %s" (tenant_id int); grant select on shop."Größe ""x"" %s" to {app}"#,
        "",
    ),
    shop(
        "partition-open",
        Error,
        "shop.old",
        "create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null, primary key (tenant_id, at)) partition by range (at);
         {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01');
         grant select on shop.old to {app}",
        "create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null, primary key (tenant_id, at)) partition by range (at);
         {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01');
         create table shop.new partition of shop.log for values from ('2020-01-01') to ('2030-01-01');
         {wall shop.new}",
    ),
    // It has row-level security of its own, and a policy that asks for nobody.
    shop(
        "partition-open",
        Error,
        "shop.old",
        "create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null, primary key (tenant_id, at)) partition by range (at);
         {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01');
         alter table shop.old enable row level security, force row level security; grant select on shop.old to {app};
         create policy everybody on shop.old for select to {app} using (true)",
        "create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null, primary key (tenant_id, at)) partition by range (at);
         {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01');
         alter table shop.old enable row level security, force row level security; grant select on shop.old to {app};
         create policy own on shop.old for select to {app} using (tenant_id = (select shop.tenant()))",
    ),
    shop(
        "policy-or",
        Error,
        "policy support on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = (select shop.tenant()));
         create policy support on shop.notes for select to {app} using (true)",
        // Beside a floor it widens nothing; nor does one to a role that the application never has.
        "create role {extra} nologin;
         create policy support on shop.notes for select to {app} using (true);
         create policy others on shop.notes for select to {extra} using (true)",
    ),
    shop(
        "policy-or",
        Warning,
        "policy admins on shop.notes",
        "create function shop.is_admin() returns boolean language sql stable parallel safe return current_setting('shop.role', true) = 'admin';
         drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = (select shop.tenant()));
         create policy admins on shop.notes to {app} using ((select shop.is_admin()))",
        "create function shop.is_admin() returns boolean language sql stable parallel safe return current_setting('shop.role', true) = 'admin';
         drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = (select shop.tenant()));
         create policy admins on shop.notes to {app} using ((select shop.is_admin()) and tenant_id = shop.tenant())",
    ),
    shop(
        "policy-open",
        Error,
        "policy everybody on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy everybody on shop.notes to {app} using (true) with check (true)",
        "",
    ),
    // Reference data: read by everybody on purpose. Written by everybody: not.
    shop(
        "policy-open",
        Error,
        "policy write on shop.country",
        "create table shop.country (code text primary key); alter table shop.country enable row level security, force row level security;
         create policy read on shop.country for select to {app} using (true);
         create policy write on shop.country for insert to {app} with check (true)",
        "create table shop.country (code text primary key); alter table shop.country enable row level security, force row level security;
         create policy read on shop.country for select to {app} using (true)",
    ),
    shop(
        "policy-misses-command",
        Error,
        "policy inside on shop.notes",
        "drop policy tenant_floor on shop.notes;
         create policy tenant_floor on shop.notes as restrictive for select to public using (tenant_id = (select shop.tenant()))",
        "",
    ),
    shop(
        "policy-check-open",
        Error,
        "policy own on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes for update to {app} using (tenant_id = (select shop.tenant())) with check (body <> '')",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes for update to {app} using (tenant_id = (select shop.tenant()))",
    ),
    shop(
        "policy-for-some-roles",
        Error,
        "policy inside on shop.notes",
        "create role {extra} nologin; alter policy tenant_floor on shop.notes to {extra}",
        "alter policy tenant_floor on shop.notes to {app}",
    ),
    shop(
        "policy-opens-without-context",
        Error,
        "policy own on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app}
         using (tenant_id::text = current_setting('shop.tenant', true) or current_setting('shop.tenant', true) is null)",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app}
         using (tenant_id::text = current_setting('shop.tenant', true) or body is null)",
    ),
    shop(
        "policy-opens-without-context",
        Error,
        "policy own on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app}
         using (coalesce(current_setting('shop.tenant', true), '') = '' or tenant_id = shop.tenant())",
        "",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = shop.tenant() or true)",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = shop.tenant() or false)",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = shop.tenant() or is_public)",
        // Above a floor it widens nothing; nor does one to a role that the application never has, nor one that looks rights up.
        "alter table shop.notes add is_public boolean; create role {extra} nologin;
         create policy theirs on shop.notes for select to {app} using (tenant_id = shop.tenant() or is_public);
         create table shop.posts (tenant_id uuid not null default shop.tenant() primary key, is_public boolean);
         alter table shop.posts enable row level security, force row level security; grant select on shop.posts to {app};
         create policy own on shop.posts to {extra} using (tenant_id = shop.tenant() or is_public);
         create policy mine on shop.posts to {app} using (tenant_id = shop.tenant() or tenant_id in (select n.tenant_id from shop.notes n))",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (body <> '' and (is_public or tenant_id = (select shop.tenant())))",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = (select shop.tenant()) and (is_public or body <> '' or tenant_id is null))",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id <> shop.tenant())",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = shop.tenant())",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = tenant_id)",
        "alter table shop.notes add is_public boolean; drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = '00000000-0000-0000-0000-000000000001')",
    ),
    // The floor itself; and what becomes of a row, where it was found rightly.
    shop(
        "policy-widened",
        Warning,
        "policy tenant_floor on shop.notes",
        "alter policy tenant_floor on shop.notes using (tenant_id = (select shop.tenant()) or body = 'everybody''s')",
        "",
    ),
    shop(
        "policy-widened",
        Warning,
        "policy own on shop.notes",
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (tenant_id = shop.tenant()) with check (tenant_id = shop.tenant() or body = '')",
        "",
    ),
    shop(
        "policy-trusts-writable-table",
        Error,
        "policy own on shop.notes",
        "create table shop.members (tenant_id uuid, login text); grant select, insert on shop.members to {app};
         drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app}
         using (tenant_id in (select m.tenant_id from shop.members m where m.login = current_setting('shop.login', true)))",
        "create table shop.members (tenant_id uuid, login text); grant select on shop.members to {app};
         drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app}
         using (tenant_id in (select m.tenant_id from shop.members m where m.login = current_setting('shop.login', true)))",
    ),
    shop(
        "policy-reads-setting",
        Info,
        "setting request.jwt.claims",
        "create table shop.posts (id int primary key, author text); alter table shop.posts enable row level security, force row level security;
         create policy own on shop.posts to {app} using (author = current_setting('request.jwt.claims', true)::json ->> 'sub')",
        // A role for each tenant: nobody sets that.
        "drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
         create policy own on shop.notes to {app} using (body = current_user)",
    ),
    shop(
        "policy-function-volatility",
        Error,
        "function shop.tenant()",
        "alter function shop.tenant() immutable",
        "create function shop.fold(text) returns text language sql immutable parallel safe return lower($1);
         create policy folded on shop.notes as restrictive for select to public using (shop.fold(body) <> '')",
    ),
    shop(
        "policy-function-volatility",
        Warning,
        "function shop.tenant()",
        "alter function shop.tenant() volatile",
        "",
    ),
    shop(
        "policy-function-not-parallel",
        Info,
        "function shop.tenant()",
        "alter function shop.tenant() parallel unsafe",
        "create function shop.other() returns int language sql parallel unsafe return 1",
    ),
    shop(
        "function-leakproof",
        Error,
        "function shop.peek(text)",
        "create function shop.peek(text) returns boolean language plpgsql leakproof cost 0.1 as $$ begin raise notice '%', $1; return true; end $$",
        "create function shop.peek(text) returns boolean language plpgsql cost 0.1 as $$ begin raise notice '%', $1; return true; end $$",
    ),
    shop(
        "view-with-owners-rights",
        Error,
        "view shop.titles",
        "create view shop.titles as select body from shop.notes; grant select on shop.titles to {app}",
        "create view shop.titles with (security_invoker) as select body from shop.notes; grant select on shop.titles to {app};
         create view shop.unread as select body from shop.notes",
    ),
    // A view above it is the door; the owner is bound, as long as FORCE stays.
    shop(
        "view-with-owners-rights",
        Warning,
        "view shop.titles",
        "set role {owner}; create view shop.titles as select body from shop.notes;
         create view shop.short with (security_invoker = on) as select left(body, 10) from shop.titles; grant select on shop.short, shop.titles to {app};
         revoke all on shop.titles from {app}",
        "",
    ),
    shop(
        "materialized-view",
        Error,
        "materialized view shop.totals",
        "create view shop.titles with (security_invoker) as select body from shop.notes;
         create materialized view shop.totals as select count(*) from shop.titles; grant select on shop.totals to {app}",
        "create materialized view shop.totals as select count(*) from shop.notes;
         create materialized view shop.days as select current_date; grant select on shop.days to {app}",
    ),
    shop(
        "definer-without-search-path",
        Error,
        "function shop.total()",
        "create function shop.total() returns bigint language plpgsql security definer as $$ begin return (select count(*) from notes); end $$",
        // Parsed when it was made; with a path of its own; for nobody; with the caller's rights.
        "create function shop.total() returns bigint language sql security definer return (select count(*) from shop.notes);
         create function shop.count() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin return 1; end $$;
         create function shop.inner() returns bigint language plpgsql security definer as $$ begin return 1; end $$;
         revoke execute on function shop.inner() from public;
         create function shop.mine() returns bigint language plpgsql as $$ begin return 1; end $$",
    ),
    shop(
        "definer-without-search-path",
        Warning,
        "function shop.total()",
        "create role {extra} nologin; grant usage, create on schema shop to {extra}; set role {extra};
         create function shop.total() returns bigint language plpgsql security definer as $$ begin return 1; end $$",
        "",
    ),
    // A path of its own, that leads to where the application may create.
    shop(
        "definer-without-search-path",
        Error,
        "function shop.total()",
        r#"create schema "open, house"; grant create on schema "open, house" to {app};
         create function shop.total() returns bigint language plpgsql security definer set search_path = pg_catalog, "open, house", pg_temp
         as $$ begin return 1; end $$"#,
        r#"create schema "open, house"; create role {extra} nologin; grant create on schema "open, house" to {extra};
         create function shop.total() returns bigint language plpgsql security definer set search_path = pg_catalog, "open, house", pg_temp
         as $$ begin return 1; end $$"#,
    ),
    // Named or not, pg_temp is searched: first, where it does not stand last.
    shop(
        "definer-without-search-path",
        Warning,
        "function shop.total()",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = shop as $$ begin return (select count(*) from notes); end $$",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = shop, pg_temp as $$ begin return (select count(*) from notes); end $$",
    ),
    shop(
        "definer-without-search-path",
        Warning,
        "function shop.total()",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = pg_temp, shop as $$ begin return (select count(*) from notes); end $$",
        "",
    ),
    shop(
        "definer-without-search-path",
        Info,
        "function shop.total()",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = '' as $$ begin return (select count(*) from shop.notes); end $$",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin return (select count(*) from shop.notes); end $$",
    ),
    shop(
        "definer-bypasses",
        Error,
        "function shop.total()",
        "create function shop.total() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return (select count(*) from shop.notes); end $$",
        // Owned by a role that every policy binds.
        "create role {extra} nologin; grant usage, create on schema shop to {extra}; set role {extra};
         create function shop.total() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return (select count(*) from shop.notes); end $$",
    ),
    shop(
        "definer-bypasses",
        Warning,
        "function shop.now_is()",
        "create function shop.now_is() returns date language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return current_date; end $$",
        "create function shop.now_is() returns date language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return current_date; end $$; revoke execute on function shop.now_is() from public",
    ),
    shop(
        "trigger-with-owners-rights",
        Warning,
        "trigger copy on shop.notes",
        "create function shop.copy() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin return null; end $$;
         create trigger copy after insert on shop.notes for each row execute function shop.copy()",
        "create function shop.copy() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$ begin return null; end $$;
         create trigger copy after insert on shop.notes for each row execute function shop.copy()",
    ),
    shop(
        "rule-on-table",
        Warning,
        "rule copy on shop.notes",
        "create table shop.copies (body text); create rule copy as on insert to shop.notes do also insert into shop.copies values (new.body)",
        "create table shop.copies (body text); create rule copy as on insert to shop.copies do also notify copied",
    ),
    shop(
        "cascade-runs-code",
        Warning,
        "trigger last_words on shop.lines",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid, primary key (tenant_id, id),
           constraint lines_note foreign key (tenant_id, note_id) references shop.notes on delete cascade);
         {wall shop.lines}
         create function shop.last_words() returns trigger language plpgsql as $$ begin return old; end $$;
         create trigger last_words before delete on shop.lines for each row execute function shop.last_words()",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid, primary key (tenant_id, id),
           constraint lines_note foreign key (tenant_id, note_id) references shop.notes on delete cascade);
         {wall shop.lines}
         create function shop.last_words() returns trigger language plpgsql as $$ begin return old; end $$;
         create trigger last_words after delete on shop.lines for each row execute function shop.last_words()",
    ),
    shop(
        "cascade-runs-code",
        Warning,
        "constraint lines_sane on shop.lines",
        "create function shop.sane(uuid) returns boolean language plpgsql volatile as $$ begin return true; end $$;
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid constraint lines_sane check (shop.sane(note_id)),
           primary key (tenant_id, id), foreign key (tenant_id, note_id) references shop.notes on delete set null (note_id));
         {wall shop.lines}",
        "create function shop.sane(uuid) returns boolean language plpgsql immutable as $$ begin return true; end $$;
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid constraint lines_sane check (shop.sane(note_id)),
           primary key (tenant_id, id), foreign key (tenant_id, note_id) references shop.notes on delete set null (note_id));
         {wall shop.lines}",
    ),
    shop(
        "cascade-crosses-tenants",
        Warning,
        "constraint lines_colour on shop.lines",
        "create table shop.colour (id int primary key);
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, colour int, primary key (tenant_id, id),
           constraint lines_colour foreign key (colour) references shop.colour on delete set null);
         {wall shop.lines}",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid, primary key (tenant_id, id),
           constraint lines_note foreign key (tenant_id, note_id) references shop.notes on delete cascade);
         {wall shop.lines}",
    ),
    shop(
        "cascade-crosses-tenants",
        Info,
        "constraint lines_tenant on shop.lines",
        "create table shop.tenants (id uuid primary key);
         create table shop.lines (tenant_id uuid not null default shop.tenant() constraint lines_tenant references shop.tenants on delete cascade,
           id uuid, primary key (tenant_id, id));
         {wall shop.lines}",
        "",
    ),
    shop(
        "cascade-crosses-tenants",
        Warning,
        "constraint lines_tenant on shop.lines",
        "create table shop.tenants (id uuid primary key); grant select, delete on shop.tenants to {app};
         create table shop.lines (tenant_id uuid not null default shop.tenant() constraint lines_tenant references shop.tenants on delete cascade,
           id uuid, primary key (tenant_id, id));
         {wall shop.lines}",
        "",
    ),
    shop(
        "publication",
        Warning,
        "publication everything",
        "create publication everything for all tables",
        "create table shop.country (code text primary key); create publication feed for table shop.country",
    ),
    shop(
        "publication",
        Warning,
        "publication feed",
        "create publication feed for table shop.notes",
        "",
    ),
    shop(
        "publication",
        Warning,
        "publication feed",
        "create publication feed for tables in schema shop",
        "",
    ),
    shop(
        "subscription",
        Info,
        "subscription inbound",
        "create subscription inbound connection 'dbname=nowhere' publication p with (connect = false, slot_name = none, enabled = false, create_slot = false)",
        "",
    ),
    shop(
        "event-trigger",
        Info,
        "event trigger watch",
        "create function shop.watch() returns event_trigger language plpgsql as $$ begin end $$;
         create event trigger watch on ddl_command_end execute function shop.watch()",
        "create function shop.watch() returns event_trigger language plpgsql as $$ begin end $$;
         create event trigger watch on ddl_command_end execute function shop.watch(); alter event trigger watch disable",
    ),
    // The application writes the code that the owner of the tables runs.
    shop(
        "event-trigger",
        Error,
        "event trigger watch",
        "create function shop.watch() returns event_trigger language plpgsql as $$ begin end $$;
         create event trigger watch on ddl_command_end execute function shop.watch(); alter function shop.watch() owner to {app}",
        "",
    ),
    shop(
        "table-in-no-class",
        Warning,
        "shop.queue",
        "create table shop.queue (id int, payload text); grant select, insert, delete on shop.queue to {app}",
        "create table shop.country (code text); grant select on shop.country to {app}; create table shop.queue (id int, payload text)",
    ),
    shop(
        "table-in-no-class",
        Warning,
        "shop.queue",
        "create table shop.queue (id int, payload text); grant update (payload) on shop.queue to {app}",
        "",
    ),
    shop(
        "unique-without-tenant",
        Warning,
        "index shop.notes_body_key",
        "alter table shop.notes add unique (body)",
        "alter table shop.notes add unique (tenant_id, body); create unique index on shop.notes (body, tenant_id)",
    ),
    shop(
        "unique-without-tenant",
        Info,
        "index shop.lines_pkey",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id bigint generated always as identity primary key); {wall shop.lines}",
        "",
    ),
    shop(
        "unique-without-tenant",
        Warning,
        "index shop.notes_lower_idx",
        "create unique index on shop.notes (lower(body))",
        "create unique index on shop.notes (tenant_id, lower(body))",
    ),
    shop(
        "unique-without-tenant",
        Warning,
        "index shop.apart",
        "alter table shop.notes add constraint apart exclude using btree (body with =)",
        "alter table shop.notes add constraint apart exclude using btree (tenant_id with =, body with =)",
    ),
    shop(
        "foreign-key-without-tenant",
        Warning,
        "constraint lines_note on shop.lines",
        "alter table shop.notes add unique (id);
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid constraint lines_note references shop.notes (id), primary key (tenant_id, id));
         {wall shop.lines}",
        "create table shop.country (code text primary key);
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid, country text references shop.country,
           primary key (tenant_id, id), constraint lines_note foreign key (tenant_id, note_id) references shop.notes);
         {wall shop.lines}",
    ),
    shop(
        "foreign-key-not-valid",
        Warning,
        "constraint notes_parent on shop.notes",
        "alter table shop.notes add parent uuid, add constraint notes_parent foreign key (tenant_id, parent) references shop.notes not valid",
        "alter table shop.notes add parent uuid, add constraint notes_parent foreign key (tenant_id, parent) references shop.notes",
    ),
    shop(
        "constraint-not-enforced",
        Warning,
        "constraint notes_parent on shop.notes",
        "alter table shop.notes add parent uuid, add constraint notes_parent foreign key (tenant_id, parent) references shop.notes not enforced",
        "alter table shop.notes add parent uuid, add constraint notes_parent foreign key (tenant_id, parent) references shop.notes",
    )
    .since(18),
    shop(
        "tenant-nullable",
        Warning,
        "shop.lines",
        "create table shop.lines (tenant_id uuid default shop.tenant(), id uuid); create index on shop.lines (tenant_id); {wall shop.lines}",
        "",
    ),
    shop(
        "tenant-default",
        Error,
        "shop.notes",
        "alter table shop.notes alter tenant_id set default '00000000-0000-0000-0000-000000000000'",
        "",
    ),
    shop(
        "tenant-default",
        Info,
        "shop.notes",
        "alter table shop.notes alter tenant_id drop default",
        "alter table shop.notes alter tenant_id set default nullif(current_setting('shop.tenant', true), '')::uuid",
    ),
    shop(
        "sequence-shared",
        Info,
        "sequence shop.notes_number_seq",
        "alter table shop.notes add number bigserial",
        "create table shop.country (number bigserial)",
    ),
    shop(
        "index-not-led-by-tenant",
        Warning,
        "shop.lines",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid primary key); {wall shop.lines}",
        "create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid primary key); create index on shop.lines (tenant_id); {wall shop.lines}",
    ),
    shop(
        "index-not-led-by-tenant",
        Info,
        "index shop.notes_body_idx",
        "create index on shop.notes (body)",
        "create index on shop.notes (tenant_id, body)",
    ),
    shop(
        "index-not-leakproof",
        Warning,
        "index shop.notes_data_idx",
        "alter table shop.notes add data jsonb; create index on shop.notes using gin (data)",
        "alter table shop.notes add data jsonb, add at timestamptz, add n int; create index on shop.notes (tenant_id, body, at desc, n)",
    ),
    shop(
        "index-not-leakproof",
        Info,
        "index shop.notes_tenant_id_total_idx",
        "alter table shop.notes add total numeric; create index on shop.notes (tenant_id, total)",
        "alter table shop.notes add total numeric; create index on shop.notes (tenant_id) include (total)",
    ),
    shop(
        "index-not-leakproof",
        Info,
        "index shop.notes_tenant_id_mood_idx",
        "create type shop.mood as enum ('good', 'bad'); alter table shop.notes add mood shop.mood; create index on shop.notes (tenant_id, mood)",
        "alter table shop.notes add mood text check (mood in ('good', 'bad')); create index on shop.notes (tenant_id, mood)",
    ),
    shop(
        "index-not-leakproof",
        Warning,
        "index shop.notes_lower_idx",
        "create index on shop.notes (lower(body))",
        "alter table shop.notes add low text generated always as (lower(body)) stored; create index on shop.notes (low)",
    ),
    // The column goes through a function: an index that begins with it is there, and of no use.
    shop(
        "plan-filters-tenant",
        Warning,
        "shop.notes",
        "alter policy tenant_floor on shop.notes using (tenant_id::text = current_setting('shop.tenant', true));
         insert into shop.notes (tenant_id) select lpad(sqrt(n)::int::text, 32, '0')::uuid from generate_series(1, 20000) n; analyze shop.notes",
        "insert into shop.notes (tenant_id) select lpad(sqrt(n)::int::text, 32, '0')::uuid from generate_series(1, 20000) n; analyze shop.notes",
    ),
    // A comparison that is not leakproof, in a table whose rows come by partitions.
    shop(
        "plan-filters-tenant",
        Warning,
        "shop.log",
        "create table shop.log (tenant_id numeric not null, at int, primary key (tenant_id, at)) partition by range (at);
         create table shop.old partition of shop.log for values from (0) to (9000);
         create table shop.new partition of shop.log for values from (9000) to (20001);
         alter table shop.log enable row level security, force row level security; grant select on shop.log to {app};
         create policy own on shop.log using (tenant_id + 0 = current_setting('shop.number', true)::numeric);
         insert into shop.log select sqrt(n)::int, n from generate_series(1, 20000) n; analyze shop.log",
        "create table shop.log (tenant_id numeric not null, at int, primary key (tenant_id, at)) partition by range (at);
         create table shop.old partition of shop.log for values from (0) to (9000);
         create table shop.new partition of shop.log for values from (9000) to (20001);
         alter table shop.log enable row level security, force row level security; grant select on shop.log to {app};
         create policy own on shop.log using (tenant_id = current_setting('shop.number', true)::numeric);
         insert into shop.log select sqrt(n)::int, n from generate_series(1, 20000) n; analyze shop.log",
    ),
    // The page is ordered by a key without the tenant: a walk along it passes everybody's rows.
    shop(
        "plan-filters-tenant",
        Warning,
        "shop.bills",
        "create table shop.bills (tenant_id uuid not null default shop.tenant(), id int primary key); create index on shop.bills (tenant_id); {wall shop.bills}
         insert into shop.bills select lpad((n % 5)::text, 32, '0')::uuid, n from generate_series(1, 20000) n; analyze shop.bills",
        "create table shop.bills (tenant_id uuid not null default shop.tenant(), id int primary key); create index on shop.bills (tenant_id, id); {wall shop.bills}
         insert into shop.bills select lpad((n % 5)::text, 32, '0')::uuid, n from generate_series(1, 20000) n; analyze shop.bills",
    ),
    // Where the planner sees the tenant, and most rows are the largest's.
    shop(
        "plan-filters-tenant",
        Info,
        "shop.bills",
        "create table shop.bills (tenant_id uuid not null default shop.tenant(), id int primary key); create index on shop.bills (tenant_id); {wall shop.bills}
         alter policy tenant_floor on shop.bills using (tenant_id = current_setting('shop.tenant')::uuid);
         insert into shop.bills select lpad(case when n % 2 = 0 then '0' else (n % 1000)::text end, 32, '0')::uuid, n from generate_series(1, 20000) n; analyze shop.bills",
        // Cut by tenant; in which no policy asks; or too small to ask about.
        "create table shop.bills (tenant_id uuid not null default shop.tenant(), id int, primary key (tenant_id, id)) partition by hash (tenant_id);
         create table shop.bills_0 partition of shop.bills for values with (modulus 2, remainder 0);
         create table shop.bills_1 partition of shop.bills for values with (modulus 2, remainder 1); {wall shop.bills}
         alter policy tenant_floor on shop.bills using (tenant_id::text = current_setting('shop.tenant'));
         insert into shop.bills select lpad((n % 5)::text, 32, '0')::uuid, n from generate_series(1, 20000) n; analyze shop.bills;
         alter policy tenant_floor on shop.notes using (tenant_id::text = current_setting('shop.tenant', true));
         insert into shop.notes (tenant_id) select lpad(sqrt(n)::int::text, 32, '0')::uuid from generate_series(1, 9000) n; analyze shop.notes",
    ),
    shop(
        "no-tenants",
        Info,
        "database {db}",
        "create table things (id int)",
        "create table things (id int, tenant_id int)",
    )
    .on(Base::Bare),
];
