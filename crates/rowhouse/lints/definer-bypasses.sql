-- B04. A SECURITY DEFINER function sees what its owner sees.
select
  case when s.named is null then 'warning' else 'error' end as level,
  format('function %s', f.name) as object,
  format('can be called by the application and runs with the rights of %I, whom policies do not bind%s',
    pg_get_userbyid(f.owner), coalesce('; it names ' || s.named, '')) as what,
  'What it reads, it reads of all tenants; whether it gives that away is for its body to say.' as why,
  format('revoke execute on function %s from public; or let a role own it that owns no table and is bound by every policy', f.name) as mend
from code f
left join lateral (
  select string_agg(distinct t.name, ', ' order by t.name) as named
  from regexp_split_to_table(lower(coalesce(case when f.is_parsed then pg_get_function_sqlbody(f.oid) else f.prosrc end, '')), '[^[:alnum:]_]+') word
  join tenant_table t on lower(t.relname) = word
  where t.oid in (select relation from unbound u where pg_has_role(f.owner, u.role, 'usage'))
) s on true
where f.is_definer
  and f.is_callable
  and exists (select from unbound_role u where pg_has_role(f.owner, u.oid, 'usage'))
