-- one row per shared cost, month that has begun and team that bears a part; without one what nobody is charged for
with months as (
    select
        costs.id,
        array_agg(months.month::date order by months.month) as months,
        internal.split_amount(costs.amount, array_agg(
            (
                least(costs.end_day, (months.month + interval '1 month')::date)
                - greatest(costs.first_day, months.month::date)
            )::numeric
            order by months.month
        )) as amounts
    from {{ ref('shared_costs') }} as costs
    cross join
        lateral generate_series(
            date_trunc('month', costs.first_day::timestamp), costs.end_day - 1, interval '1 month'
        ) as months (month)
    group by costs.id
),

due as (
    select costs.*, month.month, month.month_amount
    from {{ ref('shared_costs') }} as costs
    inner join months on months.id = costs.id
    cross join lateral unnest(months.months, months.amounts) as month (month, month_amount)
    where month.month <= {{ reporting_now() }} at time zone '{{ var("reporting_timezone") }}'
),

usage as (
    select
        date_trunc('month', days.day::timestamp)::date as month,
        days.team_id,
        -- a cost may be for what a source calls it, or for its one name
        array[days.provider, names.canonical_provider] as providers, array[days.model, names.canonical_model] as models,
        days.currency,
        sum(days.request_count) as requests,
        sum(days.total_tokens) as tokens, sum(days.cost_amount) as cost
    from {{ ref('llm_team_daily') }} as days
    left join {{ ref('stg_model_names') }} as names on names.provider = days.provider and names.model = days.model
    where days.day >= (select min(costs.first_day) - 31 from {{ ref('shared_costs') }} as costs)
    group by 1, 2, 3, 4, 5
),

bearers as (
    select
        due.id,
        due.month,
        usage.team_id,
        case due.allocation_key
            when 'cost' then coalesce(sum(usage.cost) filter (where usage.currency = due.currency), 0)
            when 'requests' then sum(usage.requests)
            when 'tokens' then sum(usage.tokens)
            else 1
        end as weight
    from due
    inner join usage
        on usage.month = due.month and (due.provider is null or due.provider = any(usage.providers))
            and (due.model is null or due.model = any(usage.models))
    where due.allocation_key <> 'fixed'
    group by due.id, due.month, usage.team_id, due.allocation_key, due.currency
    union all
    -- a team nobody knows bears its part too, in the row without a team
    select due.id, due.month, teams.id as team_id, weights.value::numeric
    from due
    cross join lateral jsonb_each_text(due.weights) as weights (slug, value)
    left join {{ ref('teams') }} as teams on teams.slug = weights.slug
),

spread as (
    select id, month, array_agg(team_id order by team_id) as team_ids, array_agg(weight order by team_id) as weights
    from bearers
    group by id, month
    having sum(weight) > 0
)

select due.id, due.month, parts.team as team_id, due.currency, coalesce(parts.part, due.month_amount) as amount
from due
left join spread on spread.id = due.id and spread.month = due.month
left join lateral unnest(spread.team_ids, internal.split_amount(due.month_amount, spread.weights)) as parts (team, part)
    on true
