-- A10. The tenant is asked for by some commands, and another one is open.
select
  case when min(o.asks) = 0 or (min(o.asks) = 1 and bool_or(o.word <> 'SELECT')) then 'error' else 'warning' end as level,
  format('policy %I on %s', o.name, o.table_name) as object,
  format('permits %s without asking for the tenant, which only other commands of this table are asked for', string_agg(o.word, ', ' order by o.place)) as what,
  'Each command has its own policies. What SELECT hides, an open UPDATE or DELETE still changes.' as why,
  format('One floor for all commands: create policy tenant_floor on %s as restrictive for all to public using (..) with check (..)', o.table_name) as mend
from open_clause o
where o.how = 'other commands'
group by o.oid, o.name, o.table_name
