-- B16. Rewrite rules run with the rights of the table's owner.
select
  'warning' as level,
  format('rule %I on %s', r.rulename, t.name) as object,
  'rewrites statements on a table of tenants' as what,
  'What a rule adds to a statement runs with the rights of the table''s owner, and is not asked for the caller''s tenant.' as why,
  format('drop rule %I on %s; a trigger or a view with security_invoker does the same in the open', r.rulename, t.name) as mend
from tenant_table t
join pg_rewrite r on r.ev_class = t.oid and r.rulename <> '_RETURN'
