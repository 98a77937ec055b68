-- C20. A transaction that was prepared belongs to the login, not to the tenant who began it.
select
  'info' as level,
  'setting max_prepared_transactions' as object,
  format('is %s: transactions can be prepared', current_setting('max_prepared_transactions')) as what,
  'Whoever shares the login commits or rolls back what another tenant prepared, and a forgotten one holds locks for ever.' as why,
  'alter system set max_prepared_transactions = 0, if nothing uses two-phase commit' as mend
where current_setting('max_prepared_transactions')::int > 0
  and exists (select from tenant_table)
