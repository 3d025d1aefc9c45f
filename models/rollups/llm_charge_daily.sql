-- one row per day, team, provider, model, currency, source of the cost and price
{{ config(
    bucket='day', source='llm_metrics',
    grain=['bucket', 'day', 'team_id', 'provider', 'model', 'currency', 'cost_source', 'price_id'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('day', 'time') }} as bucket,
    {{ local_day(time_bucket('day', 'time')) }} as day,
    team_id,
    provider,
    model,
    currency,
    cost_source,
    price_id,
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
group by 1, 3, 4, 5, 6, 7, 8
