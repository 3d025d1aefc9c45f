-- what a team spent in its running budget period is what the cost report says about it, in its currency
{{ config(meta={'dagster': {'ref': {'name': 'team_hierarchy_view'}}}) }}
with periods (budget_period, starts_at, ends_at) as (
    values
    {%- for unit in ['day', 'month', 'quarter', 'year'] %}
    ('{{ unit }}', {{ local_period_start(unit) }}, {{ local_period_start(unit, 1) }}){{ ',' if not loop.last }}
    {%- endfor %}
),

costs as (
    select periods.budget_period, costs.team_id, costs.currency, sum(costs.cost) as spend
    from {{ ref('cost_summary_view') }} as costs
    inner join periods on costs.bucket >= periods.starts_at and costs.bucket < periods.ends_at
    group by periods.budget_period, costs.team_id, costs.currency
)

select teams.team_id, teams.spend, costs.spend as cost
from {{ ref('team_hierarchy_view') }} as teams
left join costs
    on teams.team_id = costs.team_id
        and teams.currency = costs.currency
        and teams.budget_period = costs.budget_period
where teams.spend is distinct from case when costs.team_id is null then 0 else costs.spend end
