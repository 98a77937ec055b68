-- B09, B11, B14. Functions that connect elsewhere or read and write the server's files. Those of Postgres are closed
-- until somebody opens them; dblink's are open to everybody as soon as it is installed.
select distinct
  case when p.oid < 16384 then 'error' else 'warning' end as level,
  format('function %s', p.oid::regprocedure) as object,
  format('can be called by %s', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  case when p.proname like 'dblink%' then 'It connects as anybody whose password is known or not asked for, past the policies of this session.'
       else 'It reads or writes files with the rights of the server: the rows of all tenants are among them.' end as why,
  format('revoke execute on function %s from %s', p.oid::regprocedure, case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
where x.grantee in (select oid from app_grantee)
  and exists (select from tenant_table)
  and (
    (p.pronamespace = 'pg_catalog'::regnamespace
      and p.proname in ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export'))
    -- The rest of its functions work on a connection that these make.
    or (p.proname in ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec')
      and exists (
        select
        from pg_depend d
        join pg_extension e on e.oid = d.refobjid
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' and e.extname = 'dblink')))
