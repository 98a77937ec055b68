-- G. Holes of the server itself in this area. `fixed` is the first minor version without it. From the release notes and
-- security pages of postgresql.org; 18 was released after the fix of those where it has 0.
with hole (cve, what, major, fixed) as (
  values
    ('CVE-2023-2454', 'CREATE SCHEMA defeats a fixed search_path', 15, 3),
    ('CVE-2023-2455', 'policies are forgotten after a function was inlined', 15, 3),
    ('CVE-2023-39418', 'MERGE does not ask all policies', 15, 4),
    ('CVE-2024-4317', 'pg_stats_ext shows values of others', 15, 7),
    ('CVE-2024-4317', 'pg_stats_ext shows values of others', 16, 3),
    ('CVE-2024-7348', 'pg_dump runs code of others', 15, 8),
    ('CVE-2024-7348', 'pg_dump runs code of others', 16, 4),
    ('CVE-2024-10976', 'policies below subqueries are kept after SET ROLE', 15, 9),
    ('CVE-2024-10976', 'policies below subqueries are kept after SET ROLE', 16, 5),
    ('CVE-2024-10976', 'policies below subqueries are kept after SET ROLE', 17, 1),
    ('CVE-2024-10978', 'SET ROLE resets to the wrong user', 15, 9),
    ('CVE-2024-10978', 'SET ROLE resets to the wrong user', 16, 5),
    ('CVE-2024-10978', 'SET ROLE resets to the wrong user', 17, 1),
    ('CVE-2025-8713', 'statistics of views, partitions and children show values of others', 15, 14),
    ('CVE-2025-8713', 'statistics of views, partitions and children show values of others', 16, 10),
    ('CVE-2025-8713', 'statistics of views, partitions and children show values of others', 17, 6),
    ('CVE-2025-8714', 'a dump runs code where it is restored', 15, 14),
    ('CVE-2025-8714', 'a dump runs code where it is restored', 16, 10),
    ('CVE-2025-8714', 'a dump runs code where it is restored', 17, 6),
    ('CVE-2026-6473', 'any SQL user writes beyond allocated memory', 15, 18),
    ('CVE-2026-6473', 'any SQL user writes beyond allocated memory', 16, 14),
    ('CVE-2026-6473', 'any SQL user writes beyond allocated memory', 17, 10),
    ('CVE-2026-6473', 'any SQL user writes beyond allocated memory', 18, 4)
),
server (major, minor) as (
  select num / 10000, num % 10000
  from (select current_setting('server_version_num')::int as num) v
)
select
  'warning' as level,
  format('server %s.%s', s.major, s.minor) as object,
  format('has known holes: %s', string_agg(format('%s (%s)', h.cve, h.what), ', ' order by h.cve)) as what,
  'Whatever the policies say, the server itself lets them be passed.' as why,
  format('Install %s.%s or later', s.major, max(h.fixed)) as mend
from server s
join hole h on h.major = s.major and h.fixed > s.minor
group by s.major, s.minor
