-- C01. A custom setting is set by whoever runs SQL: the policy believes what the caller says of himself.
select
  'info' as level,
  format('setting %s', s.setting) as object,
  format('is what policies believe, on %s among others; everybody who runs SQL may set it', min(t.name)) as what,
  'An SQL injection in the application sets it to another tenant. It holds against mistakes, not against an attacker.' as why,
  'Nothing on the server''s side mends it: keep SQL away from users, or use a context under a seal (rowhouse).' as mend
from setting_read s
join tenant_table t on t.oid = s.relation
group by s.setting
