-- B01, B02. A view without security_invoker reads its tables as its owner.
with recursive
  hole (view, relation) as (
    select r.view, r.relation
    from reads r
    join tenant_table t on t.oid = r.relation and t.rls
    join pg_class v on v.oid = r.view and v.relkind = 'v'
    where not exists (
      select
      from pg_options_to_table(v.reloptions) o
      where o.option_name = 'security_invoker' and lower(o.option_value) in ('true', 'on', 'yes', '1', 't', 'y', 'tru', 'tr', 'ye'))
  ),
  -- Views above it are doors to it.
  door (hole, view) as (
    select view, view from hole
    union
    select d.hole, r.view from door d join reads r on r.relation = d.view
  )
select
  case when bool_or(exists (
      select
      from unbound u
      where u.relation = h.relation and (u.role = v.relowner or pg_has_role(v.relowner, u.role, 'usage')))
    ) then 'error' else 'warning' end as level,
  format('view %I.%I', n.nspname, v.relname) as object,
  format('reads %s as its owner %I, not as its caller', string_agg(t.name, ', ' order by t.name), pg_get_userbyid(v.relowner)) as what,
  'Policies are asked for the view''s owner. If they do not bind him, the view shows the rows of all tenants.' as why,
  format('alter view %I.%I set (security_invoker = true)', n.nspname, v.relname) as mend
from hole h
join tenant_table t on t.oid = h.relation
join pg_class v on v.oid = h.view
join pg_namespace n on n.oid = v.relnamespace
where exists (select from door d join exposed e on e.oid = d.view where d.hole = h.view)
group by v.oid, n.nspname, v.relname, v.relowner
