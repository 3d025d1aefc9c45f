-- one row per column of the audit trail that its checksum does not cover, or that is missing
{{ depend_on(core_tables()) -}}
with covered as (
    select column_name
    from
        unnest(array[
            'checksum_version', 'id', 'epoch', 'xid', 'recorded_at', 'occurred_at', 'db_user', 'actor_type', 'actor_id',
            'actor_label', 'action', 'resource_type', 'resource_id', 'before', 'after', 'outcome', 'ip_address',
            'user_agent', 'request_id', 'metadata', 'checksum'
        ]) as columns (column_name)
),

present as (
    select pg_attribute.attname::text as column_name
    from pg_attribute
    inner join pg_class on pg_class.oid = pg_attribute.attrelid
    inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace
    where pg_namespace.nspname = 'core'
        and pg_class.relname = 'audit_logs'
        and pg_attribute.attnum > 0
        and not pg_attribute.attisdropped
)

select
    format('core.audit_logs.%I', coalesce(present.column_name, covered.column_name)) as subject,
    case
        when covered.column_name is null
            then 'Neither checksum nor seal covers the column, so what it says can be changed unseen.'
        else 'The column is gone, and with it what every entry said in it.'
    end as message,
    case
        when covered.column_name is null
            then format(
                    'Run `alter table core.audit_logs drop column %I`; what an entry says more belongs into metadata.',
                    present.column_name
                )
        else 'Restore a backup beside this database and compare the entries.'
    end as fix
from present
full join covered on covered.column_name = present.column_name
where present.column_name is null or covered.column_name is null
