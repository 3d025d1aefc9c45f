-- one row per day, team, provider, model and currency, as llm_team_daily
select
    usage.day,
    usage.bucket,
    usage.team_id,
    teams.name as team_name,
    usage.provider,
    usage.model,
    usage.currency,
    {{ usage_of_rollup('usage') }}
from {{ ref('llm_team_daily') }} as usage
left join {{ ref('teams') }} as teams on teams.id = usage.team_id
