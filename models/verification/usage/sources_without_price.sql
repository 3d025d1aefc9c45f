-- one row per source of whose recent requests too many have no cost
select
    coalesce(source, 'no source') as subject,
    format(
        '%s of %s requests of the last {{ var("usage_window") }} have no cost.',
        sum(unpriced_request_count),
        sum(request_count)
    ) as message,
    'Have it send the cost; the rule unpriced_requests names the models.' as fix
from {{ ref('llm_source_daily') }}
where bucket >= now() - interval '{{ var("usage_window") }}'
group by source
having sum(unpriced_request_count) > sum(request_count) * {{ var("source_unpriced_share_allowed") }}
