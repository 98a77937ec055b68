-- Stands before the rules: what a rule may ask of besides the catalogue.
--   $1 to $3    tables of tenants: oid, tenant column, Rowhouse's mode      (tenants.sql)
--   $4, $5      the application's logins, and how they were recognised      (logins.sql)
--   $6 to $8    policies: oid, what they ask of rows found and rows written (policies.sql)
--   $9 to $13   Rowhouse's list of tables: schema, table, class, mode, project column
--   $14 to $16  Rowhouse is here; its list can be read; what its migrations make, as `schema.sql` has it
--   $17, $18    settings that policies read, each with the table            (settings.sql)
--   $19         what the planner answered                                   (plans.sql)
--   $20         known holes of the server                                   (server_holes.txt)
with recursive
  tenant_table as (
    select c.oid, format('%I.%I', n.nspname, c.relname) as name, c.relname, c.relowner as owner, c.relkind as kind,
      c.relispartition as is_partition, c.relacl as acl, c.relrowsecurity as rls, c.relforcerowsecurity as forced,
      t.attnum, a.attname as col, nullif(t.mode, '') as mode
    from unnest($1::oid[], $2::int2[], $3::text[]) as t (oid, attnum, mode)
    join pg_class c on c.oid = t.oid
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = t.attnum
  ),
  managed as (
    select c.oid, format('%I.%I', m.schema_name, m.table_name) as name, m.class, m.mode, m.project_column,
      c.relowner as owner, c.relacl as acl, c.relrowsecurity as rls, c.relforcerowsecurity as forced
    from unnest($9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
      as m (schema_name, table_name, class, mode, project_column)
    left join pg_namespace n on n.nspname = m.schema_name
    left join pg_class c on c.relnamespace = n.oid and c.relname = m.table_name
  ),
  rowhouse (installed, list_is_known) as (
    select $14::boolean, $15::boolean
  ),
  -- Objects of Rowhouse as its migrations make them. The first line names the object.
  page (name, kind, head, body) as (
    select m[2], m[1], m[2] || m[3], coalesce(rtrim(m[4], e'\n'), '')
    from regexp_split_to_table($16, '\n\n(?=(?:table|view|function) rowhouse)') as entry,
      regexp_match(entry, '^(table|view|function) ([^ (]+)([^\n]*)(?:\n(.*))?$') as m
    where m is not null and $14
  ),
  page_policy (relation, name, is_permissive, cmd, roles, found, written) as (
    select g.name, m[1], m[2] = 'permissive', m[3], string_to_array(m[4], ', '), m[5], m[6]
    from page g,
      regexp_matches(g.body, '(?:^|\n)  policy (\S+) (\S+) for (\S+) to ([^\n]+)(?:\n      using ([^\n]*))?(?:\n      check ([^\n]*))?', 'g') as m
    where g.kind = 'table'
  ),
  -- Tables of Rowhouse that stand outside of every tenant.
  registry_table (oid, name) as (
    select c.oid, g.name
    from page g
    join pg_class c on c.relname = split_part(g.name, '.', 2) and c.relnamespace = to_regnamespace('rowhouse')::oid
    where g.head like '%, row security%'
      and split_part(g.name, '.', 1) = 'rowhouse'
      and g.name not in (select relation from page_policy where name = 'tenant_floor')
  ),
  -- Who is a member of what, so that it has the rights or may SET ROLE. The options came with 16.
  edge (member, role) as (
    select m.member, m.roleid
    from pg_auth_members m
    where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)
      or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
    union all
    select d.datdba, 'pg_database_owner'::regrole
    from pg_database d
    where d.datname = current_database()
  ),
  app_login as (
    select r.oid, r.rolname as name, r.rolsuper as is_super, $5::text as how
    from pg_roles r
    where r.oid = any ($4::oid[])
  ),
  -- What each of them is or may become; `via` whom.
  app_role (login, role, via) as (
    select oid, oid, null::oid from app_login
    union
    select a.login, e.role, e.member
    from app_role a
    join edge e on e.member = a.role
  ),
  -- Whom a right may be given to so that an application has it.
  app_grantee (oid) as (
    select 0::oid
    union
    select role from app_role
  ),
  bypasser as (
    select oid, rolname as name, case when rolsuper then 'a superuser' else 'BYPASSRLS' end as because
    from pg_roles
    where rolsuper or rolbypassrls
  ),
  -- Whom no policy of a table binds: (role, table).
  unbound (role, relation) as (
    select b.oid, t.oid
    from bypasser b, tenant_table t
    union
    select t.owner, t.oid
    from tenant_table t
    where not t.forced
  ),
  unbound_role (oid) as (
    select distinct role from unbound
  ),
  -- Relations that an application can reach.
  exposed (oid) as (
    select c.oid
    from pg_class c
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and c.oid >= 16384
      and (c.relowner in (select role from app_role)
        or exists (select from app_login where is_super)
        or exists (
          select
          from aclexplode(c.relacl) x
          where x.grantee in (select oid from app_grantee)
            and x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
        or exists (
          select
          from pg_attribute a, aclexplode(a.attacl) x
          where a.attrelid = c.oid and a.attacl is not null and x.grantee in (select oid from app_grantee)))
  ),
  -- Functions that somebody here wrote: not Postgres's, not an extension's.
  code as (
    select p.oid, p.oid::regprocedure::text as name, n.nspname, p.proname, p.prosrc, p.prosecdef as is_definer,
      p.proowner as owner, p.provolatile as volatility, p.proparallel as parallel, p.proleakproof as is_leakproof,
      p.pronargs, p.proconfig, p.prosqlbody is not null as is_parsed, l.lanname as language,
      exists (
        select
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
        where x.grantee in (select oid from app_grantee)) as is_callable
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    where p.oid >= 16384
      and not exists (
        select
        from pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  ),
  policy as (
    select p.oid, p.polrelid as relation, t.name as table_name, p.polname as name, p.polcmd as cmd,
      p.polpermissive as is_permissive, p.polroles as roles, f.found, f.written
    from unnest($6::oid[], $7::int2[], $8::int2[]) as f (oid, found, written)
    join pg_policy p on p.oid = f.oid
    join tenant_table t on t.oid = p.polrelid
  ),
  -- A policy as one command meets it. `asks` is the weaker of what it asks of rows found and rows written.
  clause as (
    select p.*, c.place, c.word,
      case c.word
        when 'INSERT' then coalesce(p.written, p.found)
        when 'UPDATE' then least(p.found, p.written)
        else p.found
      end as asks
    from policy p
    join (values (1, 'SELECT', 'r'), (2, 'INSERT', 'a'), (3, 'UPDATE', 'w'), (4, 'DELETE', 'd')) as c (place, word, letter)
      on p.cmd in ('*', c.letter::"char")
  ),
  -- Permissive policies that let an application pass without asking for its tenant, and no restrictive one stands below.
  -- They are told apart by `how`, so that each is reported by one rule.
  open_clause as (
    select k.*,
      case
        when k.word = 'UPDATE' and k.found >= 3 then 'writes'
        when exists (
          select
          from clause o
          where o.relation = k.relation and o.word = k.word and not o.is_permissive and o.asks >= 3) then 'other roles'
        when exists (
          select
          from clause o
          where o.relation = k.relation and o.word = k.word and o.asks >= 3) then 'beside'
        when exists (
          select
          from clause o
          where o.relation = k.relation and o.asks >= 3) then 'other commands'
        else 'alone'
      end as how
    from clause k
    join tenant_table t on t.oid = k.relation
    where k.is_permissive
      and k.asks < 3
      and t.rls
      and coalesce(t.mode, 'enforce') = 'enforce'
      and k.roles && array(select oid from app_grantee)
      -- Read by everybody and without a tenant: reference data, or a profile that is public on purpose.
      and (k.word <> 'SELECT' or t.attnum > 0)
      and not exists (
        select
        from clause f
        where f.relation = k.relation
          and f.word = k.word
          and not f.is_permissive
          and f.asks >= 3
          and (f.roles = '{0}' or k.roles <@ f.roles))
  ),
  -- Key columns of the indexes of tables with policies and a tenant's column.
  index_of as (
    select t.oid as relation, t.name as table_name, t.attnum as tenant, t.col, i.indexrelid as oid,
      format('%I.%I', n.nspname, c.relname) as name, i.indisunique as is_unique, i.indisprimary as is_primary,
      i.indisexclusion as is_exclusion, i.indclass, i.indexprs, i.indkey[0] as leads,
      (i.indkey::int2[])[0 : i.indnkeyatts - 1] as keys
    from tenant_table t
    join pg_index i on i.indrelid = t.oid and i.indisvalid
    join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace
    where t.rls and t.attnum > 0
  ),
  -- Functions that policies call.
  policy_function as (
    select distinct c.*
    from pg_depend d
    join code c on c.oid = d.refobjid
    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
  ),
  -- (setting, table): those that policies read, by themselves or by a function that they call.
  setting_read (setting, relation) as (
    select s.setting, s.relation
    from unnest($17::text[], $18::oid[]) as s (setting, relation)
  ),
  -- Plans of a statement ('page', 'point') on a large table, inside one of its tenants ('smallest', 'median', 'largest';
  -- 'any' where it is not known how large they are).
  plan as (
    select p.relation, p.statement, p.tenant, p.plan
    from jsonb_to_recordset($19::text::jsonb) as p (relation oid, statement text, tenant text, plan jsonb)
  ),
  -- Holes of the server itself, and the minor version of each major one that mends it.
  server_hole (place, cve, what, major, minor) as (
    select line.place, m[1], m[3], split_part(fixed, '.', 1)::int, split_part(fixed, '.', 2)::int
    from regexp_split_to_table($20, '\n') with ordinality as line (text, place),
      regexp_match(line.text, '^(CVE-\S+)((?: \d+\.\d+)+) (.+)$') as m,
      regexp_split_to_table(ltrim(m[2]), ' ') as fixed
  ),
  -- (view, what it reads), one step.
  reads (view, relation) as (
    select distinct r.ev_class, d.refobjid
    from pg_depend d
    join pg_rewrite r on r.oid = d.objid and r.rulename = '_RETURN'
    where d.classid = 'pg_rewrite'::regclass
      and d.refclassid = 'pg_class'::regclass
      and d.refobjid <> r.ev_class
      and r.ev_class >= 16384
  )
