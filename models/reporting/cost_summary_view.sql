-- one row per day, team, user, key, provider, model, application, environment and currency, as llm_metrics_daily
select
    usage.day,
    usage.bucket,
    usage.team_id,
    teams.name as team_name,
    usage.user_id,
    users.email as user_email,
    usage.api_key_id,
    usage.provider,
    usage.model,
    usage.application,
    usage.environment,
    usage.currency,
    {{ usage_of_rollup('usage') }},
    trim_scale(usage.cost_amount / nullif(usage.request_count - usage.unpriced_request_count, 0)) as cost_per_request,
    -- tokens of unpriced requests have no cost, so the ratio speaks only where every request is priced
    case
        when usage.unpriced_request_count = 0 then trim_scale(usage.cost_amount * 1000 / nullif(usage.total_tokens, 0))
    end as cost_per_1k_tokens,
    coalesce(names.canonical_provider, usage.provider) as canonical_provider,
    coalesce(names.canonical_model, usage.model) as canonical_model
from {{ ref('llm_metrics_daily') }} as usage
left join {{ ref('teams') }} as teams on teams.id = usage.team_id
left join {{ ref('stg_users') }} as users on users.user_id = usage.user_id
left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
