-- G. Holes of the server itself in this area: those of `server_holes.txt` that its minor version still has.
select
  'warning' as level,
  format('server %s.%s', s.major, s.minor) as object,
  format('has known holes: %s', string_agg(format('%s (%s)', h.cve, h.what), ', ' order by h.place)) as what,
  'Whatever the policies say, the server itself lets them be passed.' as why,
  format('Install %s.%s or later', s.major, max(h.minor)) as mend
from (
  select num / 10000 as major, num % 10000 as minor
  from (select current_setting('server_version_num')::int as num) v
) s
join server_hole h on h.major = s.major and h.minor > s.minor
group by s.major, s.minor
