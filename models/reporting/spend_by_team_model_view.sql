-- one row per day, team, provider, model and currency: those of llm_team_daily, each model under its one name
-- what has another name, and what has the name of another
with shared as (
    select provider, model
    from {{ ref('stg_model_names') }}
    where (provider, model) <> (canonical_provider, canonical_model)
    union
    select canonical_provider, canonical_model
    from {{ ref('stg_model_names') }}
    where (provider, model) <> (canonical_provider, canonical_model)
),

usage as (
    -- most need no adding up
    select
        usage.day,
        usage.bucket,
        usage.team_id,
        usage.provider,
        usage.model,
        usage.currency,
        {{ usage_of_rollup('usage') }}
    from {{ ref('llm_team_daily') }} as usage
    where (usage.provider, usage.model) not in (select shared.provider, shared.model from shared)

    union all

    select
        usage.day,
        usage.bucket,
        usage.team_id,
        coalesce(names.canonical_provider, usage.provider) as provider,
        coalesce(names.canonical_model, usage.model) as model,
        usage.currency,
        {{ summed_usage_of_rollup('usage') }}
    from {{ ref('llm_team_daily') }} as usage
    left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
    where (usage.provider, usage.model) in (select shared.provider, shared.model from shared)
    group by 1, 2, 3, 4, 5, 6
)

select
    usage.day,
    usage.bucket,
    usage.team_id,
    teams.name as team_name,
    usage.provider,
    usage.model,
    usage.currency,
    usage.requests,
    usage.successful_requests,
    usage.failed_requests,
    {%- for column in token_columns() %}
    usage.{{ column }},
    {%- endfor %}
    usage.cost,
    usage.unpriced_requests
from usage
left join {{ ref('teams') }} as teams on teams.id = usage.team_id
