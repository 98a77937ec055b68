-- A08. A mode is what it says: this is where the wall does not bind yet.
select
  case m.mode when 'off' then 'error' else 'warning' end as level,
  m.name as object,
  case m.mode when 'off' then 'is in mode off: every tenant sees every row'
       else 'is in mode shadow: the wall is tried out, and every tenant sees every row' end as what,
  'Only mode enforce holds anybody back.' as why,
  format('rowhouse tables mode %s enforce', m.name) as mend
from managed m
where m.class <> 'shared' and m.mode <> 'enforce'
