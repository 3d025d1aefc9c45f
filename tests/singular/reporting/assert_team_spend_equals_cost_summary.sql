-- what a team spent in its running budget period is what the cost report says of the newest days, and the rollup of
-- spend of those before, which are compared in rotation (docs/rules/rollups.md), in its currency
{{ config(meta={'dagster': {'ref': {'name': 'team_hierarchy_view'}}}) }}
with periods (budget_period, starts_at, ends_at) as (
    values
    {%- for unit in ['day', 'month', 'quarter', 'year'] %}
    ('{{ unit }}', {{ local_period_start(unit) }}, {{ local_period_start(unit, 1) }}){{ ',' if not loop.last }}
    {%- endfor %}
),

days as (
    select bucket, team_id, currency, sum(cost) as cost
    from {{ ref('cost_summary_view') }}
    where bucket >= {{ verified_from() }}
    group by bucket, team_id, currency
    union all
    select bucket, team_id, currency, cost_amount
    from {{ ref('llm_spend_daily') }}
    where bucket >= (select min(periods.starts_at) from periods) and bucket < {{ verified_from() }}
),

costs as (
    select periods.budget_period, days.team_id, days.currency, sum(days.cost) as spend
    from days
    inner join periods on days.bucket >= periods.starts_at and days.bucket < periods.ends_at
    group by periods.budget_period, days.team_id, days.currency
)

select teams.team_id, teams.spend, costs.spend as cost
from {{ ref('team_hierarchy_view') }} as teams
left join costs
    on teams.team_id = costs.team_id
        and teams.currency = costs.currency
        and teams.budget_period = costs.budget_period
where teams.spend is distinct from case when costs.team_id is null then 0 else costs.spend end
