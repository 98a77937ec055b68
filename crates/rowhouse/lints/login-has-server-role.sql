-- B14, E03. Postgres's own roles that read files, other sessions or every table.
select distinct
  case when p.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') then 'error' else 'warning' end as level,
  format('role %I', l.name) as object,
  format('may become %I', p.rolname) as what,
  case
    when p.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    then 'Whoever reads the server''s files, or runs programs on it, reads the tables of all tenants from disk.'
    when p.rolname in ('pg_read_all_data', 'pg_write_all_data')
    then 'It has rights on every table, also on those that nobody thought of granting, and that have no policies.'
    else 'Tenants share this login: one sees, or ends, what the server does for the others.'
  end as why,
  format('revoke %I from %I', p.rolname, pg_get_userbyid(r.via)) as mend
from app_role r
join app_login l on l.oid = r.login and not l.is_super
join pg_roles p on p.oid = r.role
where p.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_read_all_data',
  'pg_write_all_data', 'pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings', 'pg_stat_scan_tables',
  'pg_signal_backend', 'pg_maintain', 'pg_create_subscription')
