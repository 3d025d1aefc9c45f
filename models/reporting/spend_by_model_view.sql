-- one row per day, provider, model and currency: those of llm_model_daily, each model under its one name
-- a build ends with the names of today's rules, also of usage that applications wrote themselves
{{ config(post_hook="select internal.refresh_model_names()") }}
select
    usage.day,
    usage.bucket,
    coalesce(names.canonical_provider, usage.provider) as provider,
    coalesce(names.canonical_model, usage.model) as model,
    usage.currency,
    {{ summed_usage_of_rollup('usage') }}
from {{ ref('llm_model_daily') }} as usage
left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
group by 1, 2, 3, 4, 5
