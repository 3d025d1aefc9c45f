-- One row per hypertable, policy and continuous aggregate of the schemas :schemas — kind, name, what it is a part of, properties.
-- A continuous aggregate's storage has the name of the aggregate.
with aggregates as materialized (
    select
        a.*,
        format('%%I.%%I', view_schema, view_name) as name,
        format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass as storage
    from timescaledb_information.continuous_aggregates as a
    where view_schema = any(%(schemas)s)
),

-- which the view of hypertables leaves out
named as materialized (
    select
        format('%%I.%%I', h.hypertable_schema, h.hypertable_name) as name,
        format('%%I.%%I', h.hypertable_schema, h.hypertable_name)::regclass as oid,
        h.hypertable_schema, h.hypertable_name, h.compression_enabled
    from timescaledb_information.hypertables as h
    where h.hypertable_schema = any(%(schemas)s)
    union all
    select a.name, a.storage, a.materialization_hypertable_schema, a.materialization_hypertable_name, a.compression_enabled
    from aggregates as a
),

found (kind, name, part_of, properties) as (
    select 'continuous aggregate', a.name, null, jsonb_build_object(
        'definition', a.view_definition,
        'materialized_only', a.materialized_only
    )
    from aggregates as a

    union all
    select 'hypertable', s.name, s.name, jsonb_build_object(
        'dimensions', (
            select string_agg(
                format('%%s by %%s', d.column_name, coalesce(d.time_interval::text, d.integer_interval::text, d.num_partitions::text)),
                ', ' order by d.dimension_number
            )
            from timescaledb_information.dimensions as d
            where d.hypertable_schema = s.hypertable_schema and d.hypertable_name = s.hypertable_name
        ),
        'compression', case when s.compression_enabled then 'on' else 'off' end
    )
    from named as s

    union all
    select 'compression', s.name, s.name, to_jsonb(c) - array['hypertable', 'index'] || jsonb_build_object('index', (
        -- those of the order follow from it
        select jsonb_agg(i.value)
        from jsonb_array_elements(nullif(to_jsonb(c) -> 'index', 'null')) as i
        where i.value ->> 'source' <> 'orderby'
    ))
    from named as s
    inner join timescaledb_information.hypertable_compression_settings as c on c.hypertable = s.oid

    union all
        select 'index', format('%%I on %%s', x.relname, a.name), a.name, jsonb_build_object(
        'definition', case when i.indisunique then 'unique ' else '' end
            || substr(pg_get_indexdef(x.oid), position('USING ' in pg_get_indexdef(x.oid))),
        'state', case when i.indisvalid and i.indisready and i.indislive then 'valid' else 'not valid' end
    )
    from aggregates as a
    inner join pg_index as i on i.indrelid = a.storage
    inner join pg_class as x on x.oid = i.indexrelid

    union all
    select
        'job',
        concat_ws(
            ' on ',
            case when j.proc_schema like '\_timescaledb%%' then j.proc_name else format('%%I.%%I', j.proc_schema, j.proc_name) end,
            coalesce(s.name, 'rollups.' || quote_ident(j.config ->> 'rollup'))
        ),
        coalesce(s.name, j.proc_schema),
        jsonb_build_object(
            'schedule', j.schedule_interval,
            'state', case when j.scheduled then 'scheduled' else 'not scheduled' end,
            'fixed schedule', j.fixed_schedule,
            'longest run', j.max_runtime,
            'retries', j.max_retries,
            'retry period', j.retry_period,
            'configuration', j.config - array['hypertable_id', 'mat_hypertable_id'],
            'check', nullif(concat_ws('.', j.check_schema, j.check_name), ''),
            'owner', case when j.owner::regrole::oid = most.owner then 'the owner' else j.owner::text end
        )
    from timescaledb_information.jobs as j
    cross join (
        select mode() within group (order by c.relowner) as owner
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v')
    ) as most
    cross join lateral (select quote_ident(j.hypertable_schema) || '.' || quote_ident(j.hypertable_name) as name) as h
    -- of a continuous aggregate the view says either its name or its storage's
    left join named as s on h.name = s.name or to_regclass(h.name) = s.oid
    where s.oid is not null or j.proc_schema = any(%(schemas)s)
)

select kind, name, part_of, jsonb_strip_nulls(properties) as properties
from found
order by kind, name, properties::text
