-- one row per day, provider, model, currency and what a cost rests on
select
    usage.day,
    usage.bucket,
    coalesce(names.canonical_provider, usage.provider) as provider,
    coalesce(names.canonical_model, usage.model) as model,
    usage.currency,
    usage.cost_source,
    prices.date_basis,
    sum(usage.request_count)::bigint as requests,
    sum(usage.cost_amount) as cost,
    sum(usage.list_cost_amount) as list_cost,
    sum(usage.list_cost_amount - usage.listed_cost_amount) as saved
from {{ ref('llm_price_daily') }} as usage
left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
left join {{ ref('applied_prices') }} as prices on prices.id = usage.price_id
group by 1, 2, 3, 4, 5, 6, 7
