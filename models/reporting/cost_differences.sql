-- one row per day, provider, model and currency of which both a source and our prices say a cost
select
    day,
    bucket,
    provider,
    model,
    currency,
    sum(compared_count)::bigint as requests,
    sum(differing_count)::bigint as differing_requests,
    trim_scale(sum(differing_count) / sum(compared_count)) as differing_share,
    sum(source_cost_amount) as source_cost,
    sum(computed_cost_amount) as computed_cost,
    sum(source_cost_amount) - sum(computed_cost_amount) as difference,
    trim_scale(
        (sum(source_cost_amount) - sum(computed_cost_amount)) / nullif(sum(computed_cost_amount), 0)
    ) as relative_difference
from {{ ref('llm_price_daily') }}
where compared_count > 0
group by day, bucket, provider, model, currency
