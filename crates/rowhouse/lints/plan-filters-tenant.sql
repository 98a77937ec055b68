-- E01, E06. The planner is asked how the application would read the largest tables (at most 100, from 10,000 rows on): a page, and a point by its key, inside the smallest, the median and the largest tenant. The tenant has to stand in an index condition, not in a filter over other tenants' rows.
with
  scan as (
    select p.relation, p.statement, p.tenant, node
    from plan p
    -- A partition has a number behind the name.
    cross join jsonb_path_query(p.plan, 'strict $.** ? (@.Alias like_regex "^a_row(_[0-9]+)?$")') as node
  )
select
  -- The largest tenant's rows are everywhere: to meet them on the way may be the fastest.
  case when bool_and(s.tenant = 'largest') then 'info' else 'warning' end as level,
  t.name as object,
  format('is read past its tenant for a %s, inside the %s tenant', s.statement, string_agg(distinct s.tenant, ', ' order by s.tenant desc)) as what,
  format('Postgres finds rows of all tenants and leaves them to a filter (%s%s, %s): it is slow, and time tells how many there are.',
    min(s.node ->> 'Node Type'), min(' by ' || (s.node ->> 'Index Name')), coalesce(min(s.node ->> 'Filter'), 'without one')) as why,
  format('Let policies compare %1$I as it is, in its own type and by a leakproof operator, with (select ..); let an index begin with %1$I and go on as pages are ordered', t.col) as mend
from scan s
join tenant_table t on t.oid = s.relation
where not exists (
  select
  from jsonb_path_query(s.node, 'lax $.**."Index Cond"') as c
  -- What the read of one row by its key tells is for unique-without-tenant.
  where s.statement = 'point'
    or position(format('.%I ', t.col) in translate(c #>> '{}', ')', ' ')) > 0)
group by t.name, t.col, s.statement
