-- A03. With the ADMIN option on a role, or before 16 with CREATEROLE, a login makes itself a member of it.
with recursive
  dangerous (oid) as (
    select oid from bypasser
    union
    select owner from tenant_table
    union
    select oid from pg_roles where rolname in ('rowhouse_owner', 'rowhouse_definer', 'rowhouse_migrator', 'rowhouse_sealer')
  ),
  leads_to (start, role) as (
    select m.roleid, m.roleid from pg_auth_members m where m.admin_option
    union
    select s.start, e.role from leads_to s join edge e on e.member = s.role
  )
select distinct on (l.oid, m.roleid)
  'error' as level,
  format('role %I', l.name) as object,
  format('may grant itself %I (ADMIN option), which leads past the policies', pg_get_userbyid(m.roleid)) as what,
  'One statement makes it a member of a role that owns tables of tenants or that no policy binds.' as why,
  format('revoke admin option for %I from %I', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member)) as mend
from app_role r
join app_login l on l.oid = r.login and not l.is_super
join pg_auth_members m on m.member = r.role and m.admin_option
where exists (
  select
  from leads_to s
  join dangerous d on d.oid = s.role
  where s.start = m.roleid)
union all
select
  'error',
  format('role %I', l.name),
  case when p.oid = l.oid then 'has CREATEROLE' else format('may become %I, which has CREATEROLE', p.rolname) end,
  'Before PostgreSQL 16, CREATEROLE may grant itself every role that is no superuser.',
  format('alter role %I nocreaterole', p.rolname)
from app_role r
join app_login l on l.oid = r.login and not l.is_super
join pg_roles p on p.oid = r.role and p.rolcreaterole and not p.rolsuper
where current_setting('server_version_num')::int < 160000
