-- E02. The views pg_stats and pg_stats_ext show only what policies let one see. The tables behind them show everything.
select distinct
  'error' as level,
  c.oid::regclass::text as object,
  format('can be read by %s', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'It holds the most common values of every column, of all tenants.' as why,
  format('revoke all on %s from %s', c.oid::regclass, case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_class c, aclexplode(c.relacl) x
where c.oid in ('pg_statistic'::regclass, 'pg_statistic_ext_data'::regclass, 'pg_authid'::regclass, 'pg_largeobject'::regclass)
  and x.grantee <> c.relowner
  and x.grantee in (select oid from app_grantee)
