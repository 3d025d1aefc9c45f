-- one row per day, provider, model and currency of which both a source and our prices say a cost
select
    usage.day,
    usage.bucket,
    coalesce(names.canonical_provider, usage.provider) as provider,
    coalesce(names.canonical_model, usage.model) as model,
    usage.currency,
    sum(usage.compared_count)::bigint as requests,
    sum(usage.differing_count)::bigint as differing_requests,
    trim_scale(sum(usage.differing_count) / sum(usage.compared_count)) as differing_share,
    sum(usage.source_cost_amount) as source_cost,
    sum(usage.computed_cost_amount) as computed_cost,
    sum(usage.source_cost_amount) - sum(usage.computed_cost_amount) as difference,
    trim_scale(
        (sum(usage.source_cost_amount) - sum(usage.computed_cost_amount)) / nullif(sum(usage.computed_cost_amount), 0)
    ) as relative_difference
from {{ ref('llm_price_daily') }} as usage
left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
where usage.compared_count > 0
group by 1, 2, 3, 4, 5
