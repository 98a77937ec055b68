-- E03. pg_stat_statements shows a login the texts of all statements of the same login; tenants share one.
select
  'info' as level,
  format('view %I.%I', n.nspname, c.relname) as object,
  'can be read by the application: the texts of all tenants'' statements' as what,
  'Tenants share a login, so each sees what the others ask; constants are mostly cut out, names and comments are not.' as why,
  format('revoke all on %I.%I from public', n.nspname, c.relname) as mend
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relname = 'pg_stat_statements'
  and c.relkind = 'v'
  and c.oid in (select oid from exposed)
  and exists (select from tenant_table)
