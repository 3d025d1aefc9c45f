-- one row per day, team, provider, model and currency: those of llm_team_daily, each model under its one name
with usage as (
    -- a model of one spelling, as nearly all are, needs no adding up
    select
        usage.day,
        usage.bucket,
        usage.team_id,
        usage.provider,
        usage.model,
        usage.currency,
        {{ usage_of_rollup('usage') }}
    from {{ ref('llm_team_daily') }} as usage
    inner join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
    where names.is_only_spelling

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
    where names.is_only_spelling is not true
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
