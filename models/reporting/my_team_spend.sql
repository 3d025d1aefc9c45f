-- one row per day, team and currency, of the teams whose costs the user who acts may read
{{ config(security_barrier=true) }}
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
inner join {{ ref('teams') }} as teams on teams.id = spend.team_id
where exists (
        select 1
        from {{ ref('stg_my_permissions') }} as permissions
        where permissions.team_id = spend.team_id
            and permissions.resource in ('costs', '*')
            and permissions.action in ('read', '*')
    )
