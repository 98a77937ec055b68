-- B13. What arrives by a subscription is written past the policies, or fails on them.
select
  'info' as level,
  format('subscription %I', s.subname) as object,
  'writes rows that come from another server' as what,
  'Its rows are applied with its owner''s rights: a row with another tenant''s id is not refused.' as why,
  'See that the publisher has the same policies, and that its rows are those of one trust.' as mend
from pg_subscription s
where s.subdbid = (select oid from pg_database where datname = current_database())
