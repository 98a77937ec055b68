-- A01, B01, B04. Without FORCE no policy binds the owner: nor his views and his SECURITY DEFINER functions.
select
  -- A superuser is not bound by FORCE either: for him this is about what comes after.
  case when r.rolsuper or r.rolbypassrls then 'warning'
       when r.rolcanlogin then 'error'
       when exists (
         select
         from edge e
         join pg_roles m on m.oid = e.member
         where e.role = t.owner and m.rolcanlogin and not m.rolsuper) then 'error'
       else 'warning' end as level,
  t.name as object,
  format('has row-level security that is not forced: its owner %I is not bound by it', r.rolname) as what,
  'What works with the owner''s rights sees all tenants: the owner''s login, views, SECURITY DEFINER functions.' as why,
  format('alter table %s force row level security', t.name) as mend
from tenant_table t
join pg_roles r on r.oid = t.owner
where t.rls and not t.forced
