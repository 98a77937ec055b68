-- The logins that an application may come in as: those with rights to rows of tenants' tables ($1), by whatever way but
-- owning them. $2: their names, where the caller knows them. An application connects as somebody: where nobody was
-- granted anything, it is the owner; where that cannot be either, it is a superuser.
with recursive
  edge (member, role) as (
    select m.member, m.roleid
    from pg_auth_members m
    -- Both options came with 16; before, every membership had them.
    where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)
      or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
  ),
  tenant_table as (
    select c.oid, c.relowner, c.relacl
    from pg_class c
    where c.oid = any ($1::oid[])
  ),
  keeper (oid) as (
    select relowner from tenant_table
    union
    select oid from pg_roles where rolname in ('rowhouse_owner', 'rowhouse_definer', 'rowhouse_migrator')
  ),
  granted (role) as (
    select x.grantee
    from tenant_table t, aclexplode(t.relacl) x
    where x.grantee <> t.relowner and x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    union
    select x.grantee
    from tenant_table t
    join pg_attribute a on a.attrelid = t.oid and a.attacl is not null, aclexplode(a.attacl) x
    where x.grantee <> t.relowner
  ),
  -- Whoever migrates comes to these rights by being the owner: that is another way in, with rules of its own.
  becomes (login, role) as (
    select r.oid, r.oid
    from pg_roles r
    where r.rolcanlogin and has_database_privilege(r.oid, current_database(), 'connect')
    union
    select b.login, e.role
    from becomes b
    join edge e on e.member = b.role
    where b.role not in (select oid from keeper)
  ),
  found (login, how) as (
    select oid, 'named' from pg_roles where rolname = any ($2::text[])
    union
    select b.login, 'granted'
    from becomes b
    join granted g on g.role = b.role
    where b.role not in (select oid from keeper)
    union
    select r.oid, 'granted'
    from pg_roles r
    where 0 in (select role from granted)
      and r.rolcanlogin
      and not r.rolsuper
      and r.oid not in (select oid from keeper)
      and has_database_privilege(r.oid, current_database(), 'connect')
    union
    select r.oid, case when r.rolsuper then 'superuser' else 'owner' end
    from pg_roles r
    join tenant_table t on t.relowner = r.oid
    where r.rolcanlogin
  ),
  best (how) as (
    select how
    from found
    order by array_position('{named,granted,owner,superuser}', how)
    limit 1
  )
select distinct f.login, f.how from found f join best using (how) order by f.login
