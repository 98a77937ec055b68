-- C04. The keys of the seal and the liveness rows: readable to the functions of the wall, the ticket key to the sealer.
select
  'error' as level,
  format('rowhouse_private.%I', c.relname) || coalesce(' (' || quote_ident(x.attname) || ')', '') as object,
  format('gives %s to %s', string_agg(x.privilege_type, ', ' order by x.privilege_type),
    case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'Whoever reads the keys of the seal becomes any caller in any tenant.' as why,
  format('revoke all on rowhouse_private.%I from %s', c.relname,
    case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from rowhouse r
join pg_namespace n on n.nspname = 'rowhouse_private'
join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'v', 'm', 'S')
cross join lateral (
  select null::name as attname, t.grantee, t.privilege_type from aclexplode(c.relacl) t
  union all
  select a.attname, t.grantee, t.privilege_type
  from pg_attribute a, aclexplode(a.attacl) t
  where a.attrelid = c.oid and a.attacl is not null
) x
where r.installed
  and x.grantee <> c.relowner
  and x.grantee is distinct from to_regrole('rowhouse_definer')::oid
  and not (c.relname = 'keyring' and x.attname in ('ticket_head', 'ticket_key') and x.privilege_type = 'SELECT'
    and x.grantee = to_regrole('rowhouse_sealer')::oid)
  and not (c.relname = 'drop_owned_fails_here' and x.attname = 'nothing' and x.privilege_type = 'SELECT')
group by c.relname, x.attname, x.grantee
