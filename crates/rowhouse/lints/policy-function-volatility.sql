-- A15. IMMUTABLE: its value is computed once, when a plan is made, and kept for the tenant that comes next. VOLATILE: it
-- is called for every row, and no index serves the condition.
select
  case f.volatility when 'i' then 'error' else 'warning' end as level,
  format('function %s', f.name) as object,
  case f.volatility
    when 'i' then 'is called by policies and IMMUTABLE, although its answer depends on the session'
    else 'is called by policies and VOLATILE'
  end as what,
  case f.volatility
    when 'i' then 'Postgres folds its answer into cached plans: the next tenant gets the rows of the one before.'
    else 'It runs once for each row of all tenants, and no index can be used for the condition.'
  end as why,
  format('alter function %s stable', f.name) as mend
from policy_function f
where (f.volatility = 'v'
  -- An immutable function of its arguments is what it says.
  or (f.volatility = 'i'
    and (f.pronargs = 0 or f.prosrc ~* '\mcurrent_setting\M|\mcurrent_user\M|\msession_user\M|\mselect\M.*\mfrom\M')))
  -- Its answer is always true; what it does is done when the plan is made. rowhouse-function-changed sees to it that it is that.
  and not (f.nspname = 'rowhouse' and f.proname = 'floor_first')
