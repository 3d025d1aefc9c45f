-- one row per day, team, tags (with application and environment), model, currency, source of the cost and price
{{ config(
    bucket='day', source='llm_metrics',
    grain=[
        'bucket', 'day', 'team_id', 'application', 'environment', 'tags', 'provider', 'model', 'currency', 'cost_source', 'price_id',
        'is_by_price',
    ],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('day', 'time') }} as bucket,
    {{ local_day(time_bucket('day', 'time')) }} as day,
    team_id,
    application,
    environment,
    {{ tags_of_cost('tags', var('charge_tags')) }} as tags,
    provider,
    model,
    currency,
    cost_source,
    price_id,
    price_id is not null and computed_cost_amount is null as is_by_price,
    count(*) as request_count,
    count(*) filter (where status = 'success') as success_count,
    {% for column in token_classes() -%}
    sum({{ column }})::bigint as {{ column }},
    {% endfor -%}
    sum(cost_amount) as cost_amount,
    sum(list_cost_amount) as list_cost_amount,
    sum(case when list_cost_amount is not null then cost_amount end) as listed_cost_amount
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
