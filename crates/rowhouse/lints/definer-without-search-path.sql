-- B05, C13. A SECURITY DEFINER function that looks names up on its caller's path finds the caller's tables, functions
-- and operators, and uses them with its owner's rights. So does one whose own path leads to where the caller may create:
-- a schema, or pg_temp, which is searched for tables before all others unless it stands last.
select
  case
    -- Only a table or type of pg_catalog that is named without its schema can be shadowed.
    when w.is_bare then 'info'
    when not w.catches_functions then 'warning'
    when f.owner in (select oid from bypasser) or f.owner in (select owner from tenant_table) then 'error'
    else 'warning'
  end as level,
  format('function %s', f.name) as object,
  format('runs with the rights of %I, on %s', pg_get_userbyid(f.owner), w.path) as what,
  'A caller who may create a temporary table, or anything in a schema on the path, makes it use that instead.' as why,
  case
    when s.path is null then format('alter function %s set search_path = pg_catalog, pg_temp; and qualify the names in it', f.name)
    when w.catches_functions then format('Take %I out of its search_path, and qualify the names in it', w.creatable)
    when w.is_bare then format('alter function %s set search_path = pg_catalog, pg_temp', f.name)
    else format('alter function %s set search_path = %s, pg_temp', f.name,
      (select string_agg(quote_ident(schema), ', ' order by place) from unnest(l.schemas) with ordinality as x (schema, place) where schema <> 'pg_temp'))
  end as mend
from code f
cross join lateral (
  select (select substr(c, 13) from unnest(f.proconfig) c where c like 'search\_path=%') as path
) s
cross join lateral (
  select array(
    -- A name in quotes, or one without. "$user" is he with whose rights it runs.
    select case when m[1] = '"$user"' then pg_get_userbyid(f.owner) when m[1] like '"%' then replace(substr(m[1], 2, length(m[1]) - 2), '""', '"') else m[1] end
    from regexp_matches(s.path, '("(?:[^"]|"")*"|[^,\s]+)', 'g') with ordinality as x (m, place)
    order by place) as schemas
) l
cross join lateral (
  select s.path is null or c.creatable is not null as catches_functions, c.creatable,
    c.creatable is null and l.schemas = '{""}' as is_bare,
    case
      when s.path is null then 'the search_path of its caller'
      when c.creatable is not null then format('a search_path with %I, in which the application may create', c.creatable)
      when l.schemas = '{""}' then 'an empty search_path, before which pg_temp is searched'
      when l.schemas[cardinality(l.schemas)] <> 'pg_temp' then 'a search_path that does not end in pg_temp, which is then searched first'
    end as path
  from (
    select (
      select n.nspname
      from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
      where n.nspname = any (l.schemas) and x.privilege_type = 'CREATE' and x.grantee in (select oid from app_grantee)
      order by n.nspname
      limit 1) as creatable
  ) c
) w
where f.is_definer
  and not f.is_parsed -- names were looked up when it was made
  and f.language not in ('c', 'internal')
  and w.path is not null
  and (f.is_callable or exists (select from pg_trigger g where g.tgfoid = f.oid))
  -- Called once for each walled relation of a statement, too often for a SET clause: every name in them is qualified,
  -- which a test of Rowhouse proves, and rowhouse-function-changed sees to it that they are those.
  and not (f.nspname = 'rowhouse' and f.proname in ('bound_tenant', 'enter'))
