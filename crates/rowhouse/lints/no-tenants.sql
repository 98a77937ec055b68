-- Nothing to judge is not the same as nothing found.
select
  'info' as level,
  format('database %I', current_database()) as object,
  'has no table whose rows were recognised as those of tenants' as what,
  'There is no policy, and no column with one of the names that usually hold a tenant: nothing was judged.' as why,
  'Name the column: rowhouse doctor --tenant-column NAME' as mend
where not exists (select from tenant_table)
  and exists (
    select
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and c.oid >= 16384 and n.nspname !~ '^pg_(toast|temp)')
