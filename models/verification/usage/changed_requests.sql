-- one row per request that is stored otherwise than a later record says; of a source with many, one row for the rest
with told as (
    select distinct on (source, request_id, time)
        id,
        source,
        request_id,
        time,
        stored,
        said
    from internal.changed_requests
    where decision = 'kept' and changed_at >= now() - interval '{{ var("usage_window") }}'
    order by source, request_id, time, id desc
),

-- until the request is as the record says, or gone
standing as (
    select
        told.*,
        row_number() over (partition by told.source order by told.id) as place
    from told
    -- TimescaleDB can't take a compressed row as a whole, but its columns, if they stay a query of their own
    cross join
        lateral (
            select {{ columns_of('llm_metrics', 'requests') }} from {{ ref('llm_metrics') }} as requests
            where requests.request_id = told.request_id and requests.time = told.time
            order by requests.time
        ) as m
    where not to_jsonb(m) @> told.said
)

select
    format('request %s of %s', request_id, to_char(time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')) as subject,
    format(
        'A later record in %s says otherwise: %s.',
        source,
        (
            select
                string_agg(
                    format(
                        '%s is %s, stored is %s',
                        e.key,
                        coalesce(e.value, 'nothing'),
                        coalesce(standing.stored ->> e.key, 'nothing')
                    ),
                    '; ' order by e.key
                )
            from jsonb_each_text(standing.said) as e
            where e.key <> 'price_id'
        )
    ) as message,
    'Load it again with `governance ingest --on-conflict replace`, which takes what it says.' as fix
from standing
where place <= {{ var("changed_requests_listed") }}

union all

select
    source,
    format('It says otherwise of %s.', {{ counted('count(*)', 'more request', 'more requests') }}),
    format('See `select * from internal.changed_requests where source = %L`.', source)
from standing
where place > {{ var("changed_requests_listed") }}
group by source
