-- A04, A05, A06. Rights that row-level security does not limit.
select
  case when bool_or(x.privilege_type in ('TRUNCATE', 'TRIGGER')) then 'error' else 'warning' end as level,
  t.name as object,
  format('gives %s to %s', string_agg(distinct x.privilege_type, ', ' order by x.privilege_type),
    case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'TRUNCATE empties the table for all tenants; TRIGGER sees every row that they write; REFERENCES probes for their keys; MAINTAIN locks the table.' as why,
  format('revoke %s on %s from %s', lower(string_agg(distinct x.privilege_type, ', ' order by x.privilege_type)), t.name,
    case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from tenant_table t, aclexplode(t.acl) x
where x.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
  and x.grantee <> t.owner
  and x.grantee in (select oid from app_grantee)
group by t.oid, t.name, x.grantee
