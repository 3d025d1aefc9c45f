-- one row per provider and application of which recent usage belongs to nobody
select
    format('%s from %s', provider, coalesce(application, 'no application')) as subject,
    format(
        '%s no user, no team and no key.',
        {{ counted(
            'sum(request_count)',
            'request of the last ' ~ var('usage_window') ~ ' has',
            'requests of the last ' ~ var('usage_window') ~ ' have'
        ) }}
    ) as message,
    'Have the source send who asked; such spend belongs to no budget.' as fix
from {{ ref('llm_metrics_daily') }}
where bucket >= now() - interval '{{ var("usage_window") }}'
    and num_nonnulls(user_id, team_id, api_key_id) = 0
    -- a small rollup knows whether there is any
    and exists (
        select from {{ ref('llm_source_daily') }} as sources
        where sources.unowned_request_count > 0 and sources.bucket >= now() - interval '{{ var("usage_window") }}'
    )
group by provider, application
