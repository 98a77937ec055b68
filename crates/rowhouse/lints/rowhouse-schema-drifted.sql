-- B15. What else makes a table of Rowhouse what it is: its owner, its constraints, the triggers that keep membership and
-- keys alive, and who was granted what. Columns and indexes of one's own are no finding.
with
  ours as (
    select g.name, g.head, g.body, c.oid, c.relowner, c.relacl, c.reloptions
    from page g
    left join pg_namespace n on n.nspname = split_part(g.name, '.', 1)
    left join pg_class c on c.relnamespace = n.oid and c.relname = split_part(g.name, '.', 2) and c.relkind in ('r', 'p', 'v')
    where g.kind in ('table', 'view')
  ),
  -- As `schema.sql` prints them.
  standing (name, line) as (
    select o.name, format('constraint %s %s', k.conname, pg_get_constraintdef(k.oid))
    from ours o
    join pg_constraint k on k.conrelid = o.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
    union all
    select o.name, format('trigger %s -> %s', t.tgname, t.tgfoid::regproc)
    from ours o
    join pg_trigger t on t.tgrelid = o.oid and not t.tgisinternal and t.tgenabled in ('O', 'A')
    union all
    select x.name, format('grant %s to %s', string_agg(x.what, ', ' order by x.what), x.who)
    from (
      select o.name, lower(a.privilege_type) as what, case a.grantee when 0 then '-' else a.grantee::regrole::text end as who
      from ours o, aclexplode(o.relacl) a
      where a.grantee <> o.relowner
      union all
      select o.name, format('%s (%s)', lower(a.privilege_type), string_agg(t.attname, ', ' order by t.attnum)),
        case a.grantee when 0 then '-' else a.grantee::regrole::text end
      from ours o
      join pg_attribute t on t.attrelid = o.oid and not t.attisdropped and t.attacl is not null, aclexplode(t.attacl) a
      group by o.name, a.privilege_type, a.grantee
    ) x
    group by x.name, x.who
  ),
  due (name, line) as (
    select o.name, line
    from ours o, regexp_replace(o.body, '(^|\n)  ', '\1', 'g') as text, regexp_split_to_table(text, '\n') line
    where line ~ '^(constraint|trigger|grant) '
  )
select
  'error' as level,
  coalesce(s.name, d.name) as object,
  case when s.line is null then format('lacks: %s', d.line) else format('has, and Rowhouse did not make it: %s', s.line) end as what,
  'Keys, triggers and grants are part of the wall: the triggers of liveness let a removed member or a revoked key out at once.' as why,
  'Find out who changed it, and restore it from the migrations: rowhouse migrate --dry-run on an empty database prints them.' as mend
from standing s
full join due d on d.name = s.name and d.line = s.line
where (select installed from rowhouse)
  and (s.line is null or d.line is null)
  and (select oid from ours o where o.name = coalesce(s.name, d.name)) is not null
union all
select
  'error',
  o.name,
  case when o.oid is null then 'is not there any more'
    when pg_get_userbyid(o.relowner) <> 'rowhouse_owner' then format('belongs to %I', pg_get_userbyid(o.relowner))
    else 'does not ask for its caller''s rights (security_invoker)' end,
  'The list says that the wall stands here, and it does not.',
  case when o.oid is null then 'Restore it from the migrations: rowhouse migrate --dry-run on an empty database prints them.'
    when pg_get_userbyid(o.relowner) <> 'rowhouse_owner' then format('alter table %s owner to rowhouse_owner', o.name)
    else format('alter view %s set (security_invoker = true)', o.name) end
from ours o
where (select installed from rowhouse)
  and (o.oid is null
    or pg_get_userbyid(o.relowner) <> 'rowhouse_owner'
    or (o.head like '%security\_invoker=true%' and o.reloptions is distinct from '{security_invoker=true}'))
