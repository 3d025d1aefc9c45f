-- one row per day, team and currency, as llm_spend_daily
select
    spend.day,
    spend.bucket,
    spend.team_id,
    teams.name as team_name,
    spend.currency,
    spend.request_count as requests,
    spend.cost_amount as cost,
    spend.unpriced_request_count as unpriced_requests
from {{ ref('llm_spend_daily') }} as spend
left join {{ ref('teams') }} as teams on teams.id = spend.team_id
