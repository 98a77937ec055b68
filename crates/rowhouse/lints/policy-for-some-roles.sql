-- A17. A restrictive policy binds only the roles that it names.
select
  'error' as level,
  format('policy %I on %s', o.name, o.table_name) as object,
  format('permits %s to roles that the restrictive policy of this table does not bind', string_agg(o.word, ', ' order by o.place)) as what,
  'A floor that names roles does not exist for every other one.' as why,
  format('alter policy %I on %s to public', f.name, o.table_name) as mend
from open_clause o
join lateral (
  select k.name
  from clause k
  where k.relation = o.relation and k.word = o.word and not k.is_permissive and k.asks >= 3
  order by k.name
  limit 1
) f on true
where o.how = 'other roles'
group by o.oid, o.name, o.table_name, f.name
