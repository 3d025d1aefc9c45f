-- one row per day, provider, model, currency and what a cost rests on
select
    usage.day,
    usage.bucket,
    usage.provider,
    usage.model,
    usage.currency,
    usage.cost_source,
    prices.date_basis,
    sum(usage.request_count)::bigint as requests,
    sum(usage.cost_amount) as cost,
    sum(usage.list_cost_amount) as list_cost,
    sum(usage.list_cost_amount - usage.listed_cost_amount) as saved
from {{ ref('llm_price_daily') }} as usage
left join {{ ref('applied_prices') }} as prices on prices.id = usage.price_id
group by usage.day, usage.bucket, usage.provider, usage.model, usage.currency, usage.cost_source, prices.date_basis
