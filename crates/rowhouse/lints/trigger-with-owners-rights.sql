-- B16. A trigger whose function runs with rights that no policy binds, on rows that a tenant writes.
select
  'warning' as level,
  format('trigger %I on %s', g.tgname, t.name) as object,
  format('runs %s with the rights of %I, whom policies do not bind', f.name, pg_get_userbyid(f.owner)) as what,
  'It is a door of its own: what it reads and writes elsewhere is not limited to the tenant of the row.' as why,
  format('Look at its body; or let a role own %s that is bound by every policy', f.name) as mend
from tenant_table t
join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0
join code f on f.oid = g.tgfoid and f.is_definer
where exists (select from unbound_role u where pg_has_role(f.owner, u.oid, 'usage'))
