-- Parallel plans are taken from every statement that touches the table.
select
  'info' as level,
  format('function %s', f.name) as object,
  'is called by policies and not marked PARALLEL SAFE' as what,
  'Functions are PARALLEL UNSAFE unless they say otherwise: no statement on these tables gets a parallel plan.' as why,
  format('alter function %s parallel safe, if it only reads', f.name) as mend
from policy_function f
where f.parallel = 'u'
