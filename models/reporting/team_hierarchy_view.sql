-- one row per live team; the root goes along everywhere, so that a filter on it reaches people and spend
with children as (
    select root_team_id, parent_team_id, count(*) as total from {{ ref('stg_team_tree') }} where is_live group by 1, 2
),

-- each lies within the next one
periods as (
    select length, budget_period, starts_at
    from (
        values
        {%- for unit in ['day', 'month', 'quarter', 'year'] %}
        ({{ loop.index }}, '{{ unit }}', {{ local_period_start(unit) }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as units (length, budget_period, starts_at)
    where budget_period in (select teams.budget_period from {{ ref('teams') }} as teams)
),

-- by the shortest period that a day is in, so it counts for that one and the longer ones
usage as (
    select
        tree.root_team_id,
        spend.team_id,
        spend.currency,
        case
            {%- for unit in ['day', 'month', 'quarter', 'year'] %}
            when spend.bucket >= {{ scalar_subquery(local_period_start(unit)) }}
                and spend.bucket < {{ scalar_subquery(local_period_start(unit, 1)) }} then {{ loop.index }}
            {%- endfor %}
        end as length,
        sum(spend.cost_amount) as cost,
        sum(spend.unpriced_request_count) as unpriced_requests
    from {{ ref('llm_spend_daily') }} as spend
    inner join {{ ref('stg_team_tree') }} as tree on tree.team_id = spend.team_id
    where spend.bucket >= (select min(periods.starts_at) from periods)
    group by 1, 2, 3, 4
),

-- what a deleted team spent stays part of the live teams above it
spending as (
    select
        below.root_team_id,
        teams.id as team_id,
        {{ sum_cost_where('usage.cost', 'usage.currency = teams.currency and usage.team_id = teams.id') }} as spend,
        {{ sum_cost_where('usage.cost', 'usage.currency = teams.currency') }} as total_spend,
        coalesce(bool_or(usage.currency <> teams.currency), false) as other_currencies,
        coalesce(sum(usage.unpriced_requests), 0)::bigint as unpriced_requests
    from {{ ref('teams') }} as teams
    inner join {{ ref('stg_team_ancestors') }} as below on below.ancestor_id = teams.id
    left join periods on periods.budget_period = teams.budget_period
    left join usage
        on usage.root_team_id = below.root_team_id and usage.team_id = below.team_id and usage.length <= periods.length
    group by below.root_team_id, teams.id
)

select
    teams.id as team_id,
    teams.name as team_name,
    teams.slug,
    tree.parent_team_id,
    tree.root_team_id,
    cardinality(tree.path_ids) as level,
    tree.path,
    tree.path_ids,
    coalesce(headcounts.direct_member_count, 0) as direct_member_count,
    coalesce(headcounts.total_member_count, 0) as total_member_count,
    coalesce(children.total, 0) as child_team_count,
    teams.currency,
    teams.budget_amount,
    teams.budget_period,
    spending.spend,
    spending.total_spend,
    trim_scale(spending.total_spend / nullif(teams.budget_amount, 0)) as budget_used_share,
    spending.other_currencies,
    spending.unpriced_requests
from {{ ref('teams') }} as teams
inner join {{ ref('stg_team_tree') }} as tree on tree.team_id = teams.id and tree.is_live
left join children on children.root_team_id = tree.root_team_id and children.parent_team_id = teams.id
left join {{ ref('stg_team_headcounts') }} as headcounts
    on headcounts.root_team_id = tree.root_team_id and headcounts.team_id = teams.id
inner join spending on spending.root_team_id = tree.root_team_id and spending.team_id = teams.id
