-- Takes every right on table $1 and its sequences from whoever is not their owner. A right on the table goes with those
-- on its columns.
with
  relations as (
    select c.oid, c.relacl, c.relowner, format('%s %I.%I', case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname) as name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid = $1 or (c.relkind = 'S' and c.oid in (
      select d.objid from pg_depend d
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.deptype in ('a', 'i')))
  ),
  holders as (
    select r.name, acl.grantee, r.relowner from relations r, aclexplode(r.relacl) acl
    union
    select r.name, acl.grantee, r.relowner
    from relations r join pg_attribute a on a.attrelid = r.oid, aclexplode(a.attacl) acl
  )
select format('revoke all on %s from %s cascade', name,
  case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end)
from holders
where grantee <> relowner
order by 1
