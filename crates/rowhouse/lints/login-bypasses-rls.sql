-- A02, A03. An application that comes in as a superuser or with BYPASSRLS meets no policy. Neither does one that is a
-- member of such a role, at any depth.
select distinct on (l.oid, b.oid)
  -- A superuser is only supposed to be the application's login where nobody else has rights.
  case l.how when 'superuser' then 'warning' else 'error' end as level,
  format('role %I', l.name) as object,
  case
    when l.how = 'superuser' then 'is a superuser, and nobody else has rights on the tables of tenants: no policy binds the application if it connects as this'
    when b.oid = l.oid then format('has rights on tables of tenants and is not bound by any policy (%s)', b.because)
    else format('may become %I, whom no policy binds (%s)', b.name, b.because)
  end as what,
  'Row-level security does not exist for superusers and for roles with BYPASSRLS.' as why,
  case
    when l.how = 'superuser' then 'Give the application a login of its own: create role app login; grant select, insert, update, delete on .. to app'
    when b.oid = l.oid then format('alter role %I nosuperuser nobypassrls', l.name)
    else format('revoke %I from %I', b.name, pg_get_userbyid(r.via))
  end as mend
from app_role r
join app_login l on l.oid = r.login
join bypasser b on b.oid = r.role
order by l.oid, b.oid, r.via
