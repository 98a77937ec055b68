-- A09, A10. A policy that lets everybody pass, where no other one asks for a tenant.
select
  case when min(o.asks) = 0 or (min(o.asks) = 1 and bool_or(o.word <> 'SELECT')) then 'error' else 'warning' end as level,
  format('policy %I on %s', o.name, o.table_name) as object,
  format('%s for %s, and no policy of the table asks for a tenant',
    case min(o.asks) when 0 then 'lets everybody pass' when 1 then 'asks nothing of the caller' else 'asks nothing of the row' end,
    string_agg(o.word, ', ' order by o.place)) as what,
  'Row-level security is on and looks like a wall, but holds nobody back.' as why,
  format('create policy tenant_floor on %s as restrictive for all to public using (..) with check (..)', o.table_name) as mend
from open_clause o
where o.how = 'alone'
group by o.oid, o.name, o.table_name
