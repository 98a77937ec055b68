-- B15. Policies as raise_wall(), set_mode() and the migrations made them, and as they stand now. A table of the user's may
-- have more; ours have these.
with
  text_of (reads, writes, managers) as (
    select g.found, g.written, m.found
    from page_policy g, page_policy m
    where g.relation = 'rowhouse.teams' and g.name = 'tenant_floor' and m.relation = g.relation and m.name = 'managers'
  ),
  kept as (
    select oid, name, class, mode, project_column from managed where oid is not null and class in ('admin', 'content')
    union all
    select oid, name, 'registry', 'enforce', null from registry_table
  ),
  wanted (oid, name, policy, cmd, is_permissive, roles, found, written) as (
    select k.oid, k.name, p.policy, p.cmd, p.is_permissive,
      case when p.is_permissive then p.roles when k.mode = 'enforce' then '{public}' else '{rowhouse_enforced}' end::text[],
      p.found, p.written
    from kept k
    cross join text_of t
    cross join lateral (
      select g.name as policy, g.cmd, g.is_permissive, g.roles, g.found, g.written
      from page_policy g
      where g.relation = k.name and g.name <> 'shadow_open'
      union all
      select p.*
      from (values
        ('tenant_floor', 'all', false, '{}'::text[], t.reads, t.writes),
        ('tenant_floor_update', 'update', false, '{}', t.writes, null),
        ('tenant_floor_delete', 'delete', false, '{}', t.writes, null),
        ('inside', 'all', true, '{rowhouse_app}', 'true', 'true')
      ) as p
      where k.class = 'content' and not exists (select from page g where g.name = k.name)
      union all
      select p.*
      from (values
        ('tenant_floor', 'all', false, '{}'::text[], t.reads, t.writes),
        ('tenant_floor_update', 'update', false, '{}', t.writes, null),
        ('tenant_floor_delete', 'delete', false, '{}', t.writes, null),
        ('inside', 'select', true, '{rowhouse_app}', 'true', null),
        ('managers', 'all', true, '{rowhouse_app}', t.managers, t.managers),
        ('system', 'all', true, '{rowhouse_definer,rowhouse_platform}', 'true', 'true')
      ) as p
      where k.class = 'admin' and not exists (select from page g where g.name = k.name)
      union all
      select 'project_floor', 'all', false, '{}', e.text, e.text
      from (
        select format('((%1$I = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[])) AND (rowhouse.pair(tenant_id, %1$I) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))',
          k.project_column) as text) e
      where k.project_column is not null and not exists (select from page g where g.name = k.name)
      union all
      select 'shadow_open', 'all', true, '{public}', 'true', 'true'
      where k.mode <> 'enforce'
    ) p
  ),
  standing as (
    select k.oid, k.name, p.polname::text as policy, p.polpermissive as is_permissive,
      case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' else 'delete' end as cmd,
      array(
        select case r when 0 then 'public' else pg_get_userbyid(r)::text end
        from unnest(p.polroles) r
        order by 1) as roles,
      regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g') as found,
      regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g') as written
    from pg_policy p
    join kept k on k.oid = p.polrelid
  )
select
  case when coalesce(w.is_permissive, s.is_permissive) then 'warning' else 'error' end as level,
  format('policy %I on %s', coalesce(w.policy, s.policy), coalesce(w.name, s.name)) as object,
  case
    when s.oid is null then 'is not there any more'
    when w.oid is null then 'was not made by Rowhouse, on a table of its own'
    else 'is not what Rowhouse made'
  end as what,
  'It is a part of the wall; what stands in its place was not looked at by anybody.' as why,
  case
    when w.oid is null then format('drop policy %I on %s', s.policy, s.name)
    else 'Find out who changed it. Then drop the policies of the table, delete its row from rowhouse.managed_tables, and call rowhouse.raise_wall() for it again; those of Rowhouse''s own tables stand in its migrations.'
  end as mend
from wanted w
full join standing s on s.oid = w.oid and s.policy = w.policy
where (select list_is_known from rowhouse) and case
  when w.oid is null then s.name in (select name from page)
  else s.oid is null
    or (s.cmd, s.is_permissive, s.found, s.written) is distinct from (w.cmd, w.is_permissive, w.found, w.written)
    or s.roles is distinct from array(select r from unnest(w.roles) r order by 1)
end
