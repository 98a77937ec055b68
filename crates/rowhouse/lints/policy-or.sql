-- A09. Permissive policies are joined by OR: the widest of them decides.
select
  case when min(o.asks) = 0 or (min(o.asks) = 1 and bool_or(o.word <> 'SELECT')) then 'error' else 'warning' end as level,
  format('policy %I on %s', o.name, o.table_name) as object,
  format('lets rows of every tenant pass (%s), beside policies that ask for the tenant', string_agg(o.word, ', ' order by o.place)) as what,
  'Permissive policies are joined by OR: one that does not ask for the tenant takes the others'' effect away.' as why,
  format('Make the tenant''s condition a restrictive policy, which holds whatever else is permitted: create policy tenant_floor on %s as restrictive for all to public using (..) with check (..)', o.table_name) as mend
from open_clause o
where o.how = 'beside'
group by o.oid, o.name, o.table_name
