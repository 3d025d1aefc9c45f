-- one row per source of whose recent requests too many belong to nobody
select
    coalesce(source, 'no source') as subject,
    format(
        '%s of %s requests of the last {{ var("usage_window") }} name no user, no team and no key of the warehouse.',
        sum(unowned_request_count),
        sum(request_count)
    ) as message,
    'Have it send who asks, or say who its names are: docs/sources.md, Owners.' as fix
from {{ ref('llm_source_daily') }}
where bucket >= now() - interval '{{ var("usage_window") }}'
group by source
having sum(unowned_request_count) > sum(request_count) * {{ var("unowned_share_allowed") }}
