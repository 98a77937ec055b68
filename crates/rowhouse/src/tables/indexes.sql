-- How to bring tenant_id to the front of the indexes of table $1, whose projects are in column $2: statements in their
-- order, or a note why it stays as it is.
with
  every as (
    select
      i.*,
      format('%I.%I', n.nspname, t.relname) as table_name,
      c.relname as name,
      format('%I.%I', n.nspname, c.relname) as full_name,
      m.amname as method,
      pg_get_indexdef(i.indexrelid) as definition,
      format('CREATE %sINDEX %I ON %I.%I USING btree (',
        case when i.indisunique then 'UNIQUE ' end, c.relname, n.nspname, t.relname) as head,
      array(
        select a.attname::text
        from generate_series(0, i.indnkeyatts - 1) k
        left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[k] and a.attnum <> 0
        order by k) as columns,
      k.conname,
      k.contype,
      case when k.condeferred then ' deferrable initially deferred' when k.condeferrable then ' deferrable' else '' end as deferral,
      obj_description(k.oid, 'pg_constraint') as constraint_comment,
      obj_description(c.oid, 'pg_class') as comment
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u')
    where i.indrelid = $1
  ),
  noted as (
    select *,
      case
        when method <> 'btree' then format('index %I stays as it is: %s cannot begin with tenant_id', name, method)
        when not indisvalid then format('index %I stays as it is: it is not valid', name)
        when 'tenant_id' = any (columns) then format('index %I holds tenant_id, but not at its front', name)
        when not starts_with(definition, head) then format('index %I stays as it is: its definition was not understood', name)
      end as note
    from every
    where columns[1] is distinct from 'tenant_id'
  )
select
  note,
  array[
    case when conname is null then format('drop index %s', full_name)
         else format('alter table %s drop constraint %I', table_name, conname) end,
    head
      || case when $2::text is not null and not indisunique and columns[1] is distinct from $2
              then format('tenant_id, %I, ', $2) else 'tenant_id, ' end
      || substr(definition, length(head) + 1),
    case when conname is not null
         then format('alter table %s add constraint %I %s using index %I%s', table_name, conname,
           case contype when 'p' then 'primary key' else 'unique' end, name, deferral) end,
    case when indisreplident then format('alter table %s replica identity using index %I', table_name, name) end,
    case when indisclustered then format('alter table %s cluster on %I', table_name, name) end,
    case when comment is not null then format('comment on index %s is %L', full_name, comment) end,
    case when constraint_comment is not null
         then format('comment on constraint %I on %s is %L', conname, table_name, constraint_comment) end
  ] as statements
from noted
order by indisprimary desc, name
