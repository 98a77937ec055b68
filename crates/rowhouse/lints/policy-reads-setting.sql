-- C01. A custom setting is set by whoever runs SQL: the policy believes what the caller says of himself.
with
  text_of (relation, text) as (
    select p.relation, coalesce(pg_get_expr(s.polqual, s.polrelid), '') || coalesce(pg_get_expr(s.polwithcheck, s.polrelid), '')
    from policy p
    join pg_policy s on s.oid = p.oid
    where concat(s.polqual, s.polwithcheck) ~ ':funcid (2077|3294) '
    union all
    select p.relation, case when f.is_parsed then pg_get_function_sqlbody(f.oid) else f.prosrc end
    from policy p
    join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
    join policy_function f on f.oid = d.refobjid
    -- Rowhouse's believe a setting under its seal only.
    where f.nspname not in ('rowhouse', 'rowhouse_private')
  ),
  named (setting, relation) as (
    select distinct m[1], t.relation
    from text_of t, regexp_matches(t.text, 'current_setting\s*\(\s*''([^'']+\.[^'']+)''', 'gi') m
  )
select
  'info' as level,
  format('setting %s', n.setting) as object,
  format('is what policies believe, on %s among others; everybody who runs SQL may set it', min(t.name)) as what,
  'An SQL injection in the application sets it to another tenant. It holds against mistakes, not against an attacker.' as why,
  'Nothing on the server''s side mends it: keep SQL away from users, or use a context under a seal (rowhouse).' as mend
from named n
join tenant_table t on t.oid = n.relation
group by n.setting
