-- a team's total is at least its own spend and the totals of the children that count in its currency and period;
-- more is right: deleted teams, and teams that count in another currency or period, belong to it too
{{ config(meta={'dagster': {'ref': {'name': 'team_hierarchy_view'}}}) }}
select parents.team_id, parents.total_spend, parents.spend, sum(children.total_spend) as spend_of_children
from {{ ref('team_hierarchy_view') }} as parents
left join {{ ref('team_hierarchy_view') }} as children
    on parents.team_id = children.parent_team_id
        and parents.currency = children.currency
        and parents.budget_period = children.budget_period
group by parents.team_id, parents.spend, parents.total_spend
having parents.total_spend < coalesce(parents.spend, 0) + coalesce(sum(children.total_spend), 0)
