-- D01, D02, D03, D08. Uniqueness over all tenants: an insert tells whether another one has the value.
select
  case
    -- Nobody guesses a UUID, and everybody sees the order of a sequence anyway (sequence-shared).
    when not i.is_exclusion and i.guessed = '{}' then 'info'
    else 'warning'
  end as level,
  format('index %s', i.name) as object,
  format('%s %s without the tenant: %s is unique over all tenants',
    case when i.is_exclusion then 'excludes rows' when i.is_primary then 'is the primary key' else 'is unique' end,
    format('on %s', i.table_name), coalesce(i.columns, 'an expression')) as what,
  'An insert, or ON CONFLICT, with a guessed value tells whether another tenant has it, and keeps him from using it.' as why,
  format('Make it again with %I in front, and the foreign keys that refer to it as well', i.col) as mend
from (
  select i.*,
    (select string_agg(quote_ident(a.attname), ', ' order by u.place)
     from unnest(i.keys) with ordinality as u (attnum, place)
     join pg_attribute a on a.attrelid = i.relation and a.attnum = u.attnum) as columns,
    array(
      select u.attnum
      from unnest(i.keys) as u (attnum)
      left join pg_attribute a on a.attrelid = i.relation and a.attnum = u.attnum
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attnum is null
        or not (a.atttypid = 'uuid'::regtype
          or a.attidentity <> ''
          or coalesce(d.adbin::text ~ ':funcid (1574|480) ', false))) as guessed -- nextval
  from index_of i
  where (i.is_unique or i.is_exclusion) and i.tenant <> all (i.keys)
) i
