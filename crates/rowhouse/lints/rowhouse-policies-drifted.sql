-- B15. What raise_wall() and set_mode() made, and what stands now.
with
  text_of (reads, writes, managers) as (
    values (
      e'((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,\n    true))',
      e'((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant,\n    true))',
      '(( SELECT rowhouse.caller_role() AS caller_role) = ANY (''{owner,admin}''::text[]))')
  ),
  walled as (
    select m.*, m.name = 'rowhouse.audit_log' as is_trail
    from managed m
    where m.oid is not null and m.class in ('admin', 'content')
  ),
  wanted (oid, name, policy, cmd, is_permissive, roles, found, written) as (
    select w.oid, w.name, p.policy, p.cmd, p.is_permissive,
      case when p.is_permissive then p.roles when w.mode = 'enforce' then '{public}' else '{rowhouse_enforced}' end::text[],
      p.found, p.written
    from walled w
    cross join text_of t
    cross join lateral (values
      (true, 'tenant_floor', '*', false, '', t.reads, case when w.is_trail then t.reads else t.writes end),
      (not w.is_trail, 'tenant_floor_update', 'w', false, '', t.writes, null),
      (not w.is_trail, 'tenant_floor_delete', 'd', false, '', t.writes, null),
      (w.project_column is not null, 'project_floor', '*', false, '',
        format('(%I = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[]))', coalesce(w.project_column, '')),
        format('(%I = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[]))', coalesce(w.project_column, ''))),
      (w.class = 'content' or w.is_trail, 'inside', '*', true, '{rowhouse_app}', 'true', 'true'),
      (not (w.class = 'content' or w.is_trail), 'inside', 'r', true, '{rowhouse_app}', 'true', null),
      (not (w.class = 'content' or w.is_trail), 'managers', '*', true, '{rowhouse_app}', t.managers, t.managers),
      (w.class = 'admin', 'system', '*', true, '{rowhouse_platform,rowhouse_definer}', 'true', 'true'),
      (w.mode <> 'enforce', 'shadow_open', '*', true, '{public}', 'true', 'true')
    ) as p (is_due, policy, cmd, is_permissive, roles, found, written)
    where p.is_due
  ),
  standing as (
    select p.polrelid as oid, p.polname::text as policy, p.polcmd::text as cmd, p.polpermissive as is_permissive,
      array(
        select case r when 0 then 'public' else pg_get_userbyid(r)::text end
        from unnest(p.polroles) r
        order by 1) as roles,
      pg_get_expr(p.polqual, p.polrelid) as found, pg_get_expr(p.polwithcheck, p.polrelid) as written
    from pg_policy p
    where p.polrelid in (select oid from walled)
  )
select
  case when w.is_permissive then 'warning' else 'error' end as level,
  format('policy %I on %s', w.policy, w.name) as object,
  case when s.oid is null then 'is not there any more' else 'is not what rowhouse.raise_wall() makes' end as what,
  'It is a part of the wall; what stands in its place was not looked at by anybody.' as why,
  'Find out who changed it. Then drop the policies of the table, delete its row from rowhouse.managed_tables, and call rowhouse.raise_wall() for it again.' as mend
from wanted w
left join standing s on s.oid = w.oid and s.policy = w.policy
where s.oid is null
  or (s.cmd, s.is_permissive, s.found, s.written) is distinct from (w.cmd, w.is_permissive, w.found, w.written)
  or s.roles is distinct from array(select r from unnest(w.roles) r order by 1)
