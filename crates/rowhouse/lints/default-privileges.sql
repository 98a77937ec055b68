-- B17, A07. Rights that every table made from now on begins with, before anybody gave it policies.
select
  case when bool_or(x.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')) or x.grantee = 0 then 'warning' else 'info' end as level,
  format('default privileges of %I%s', pg_get_userbyid(d.defaclrole), coalesce(' in schema ' || quote_ident(n.nspname), '')) as object,
  format('give %s on new tables to %s', string_agg(distinct x.privilege_type, ', ' order by x.privilege_type),
    case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'A new table is open to every tenant from its first moment until somebody thinks of its policies.' as why,
  format('alter default privileges for role %I%s revoke all on tables from %s', pg_get_userbyid(d.defaclrole),
    coalesce(' in schema ' || quote_ident(n.nspname), ''),
    case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_default_acl d
cross join aclexplode(d.defaclacl) x
left join pg_namespace n on n.oid = d.defaclnamespace
where d.defaclobjtype = 'r'
  and x.grantee <> d.defaclrole
  and x.grantee in (select oid from app_grantee)
group by d.oid, d.defaclrole, n.nspname, x.grantee
