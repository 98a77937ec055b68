-- Behind `prelude.sql`: the settings that policies read, by themselves or by a function that they call, each with the table.
-- Printing what every policy says takes seconds in a large database: it is done once, and what a function says is read once,
-- however many policies call it.
with
  said (text, policies) as (
    select coalesce(pg_get_expr(s.polqual, s.polrelid), '') || coalesce(pg_get_expr(s.polwithcheck, s.polrelid), ''), array[p.oid]
    from policy p
    join pg_policy s on s.oid = p.oid
    where concat(s.polqual, s.polwithcheck) ~ ':funcid (2077|3294) '
    union all
    select case when f.is_parsed then pg_get_function_sqlbody(f.oid) else f.prosrc end,
      array(
        select d.objid
        from pg_depend d
        where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass and d.refobjid = f.oid)
    from policy_function f
    -- Rowhouse's believe a setting under its seal only.
    where f.nspname not in ('rowhouse', 'rowhouse_private')
  )
select distinct m[1] as setting, p.relation
from said s
cross join regexp_matches(s.text, 'current_setting\s*\(\s*''([^'']+\.[^'']+)''', 'gi') m
cross join unnest(s.policies) as u (oid)
join policy p on p.oid = u.oid
