-- one row per model of which recent requests have no cost
select
    format('%s/%s', provider, model) as subject,
    format(
        'What %s of %s requests of the last {{ var("usage_window") }} cost is unknown.',
        sum(unpriced_request_count),
        sum(request_count)
    ) as message,
    format(
        'Have the source send the cost. Until it does: update core.llm_metrics set cost_amount = …,'
        || ' cost_source = ''computed'' where provider = %L and model = %L and cost_amount is null;'
        || ' then `governance refresh`.',
        provider,
        model
    ) as fix
from {{ ref('llm_team_daily') }}
where bucket >= now() - interval '{{ var("usage_window") }}'
group by provider, model
having sum(unpriced_request_count) > sum(request_count) * {{ var("unpriced_share_allowed") }}
