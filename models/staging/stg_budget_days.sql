-- one row per target of a budget, day and currency with usage
with recursive lines as (
    select id as team_id, id as above_id from {{ ref('teams') }}
    union all
    select lines.team_id, teams.parent_team_id
    from lines
    inner join {{ ref('teams') }} as teams on teams.id = lines.above_id
    where teams.parent_team_id is not null
),

-- a team, all teams below it included, as they hang together today
charged as (
    select 'team' as target_kind, above_id::text as target, team_id
    from lines
    where above_id in (select limits.team_id from {{ ref('team_budgets') }} as limits)
    union all
    select 'cost_center', cost_center, team_id
    from {{ ref('stg_team_cost_centers') }}
    where cost_center in (select limits.cost_center from {{ ref('budgets') }} as limits)
),

first_day as (
    select {{ budget_history_start() }} as starts_at
)

select
    charged.target_kind,
    charged.target,
    spend.bucket,
    spend.day,
    spend.currency,
    sum(spend.cost_amount) as cost,
    sum(spend.unpriced_request_count)::bigint as unpriced_requests
from {{ ref('llm_spend_daily') }} as spend
inner join charged on charged.team_id = spend.team_id
where spend.bucket >= (select first_day.starts_at from first_day)
group by 1, 2, 3, 4, 5
union all
-- arrays, which an index on what is limited can serve
select 'user', user_id::text, bucket, day, currency, cost_amount, unpriced_request_count
from {{ ref('llm_user_daily') }}
where bucket >= (select first_day.starts_at from first_day)
    and user_id = any(array(select limits.user_id from {{ ref('budgets') }} as limits))
union all
select 'key', api_key_id::text, bucket, day, currency, cost_amount, unpriced_request_count
from {{ ref('llm_key_daily') }}
where bucket >= (select first_day.starts_at from first_day)
    and api_key_id = any(array(select limits.api_key_id from {{ ref('budgets') }} as limits))
union all
select 'application', application, bucket, day, currency, cost_amount, unpriced_request_count
from {{ ref('llm_application_daily') }}
where bucket >= (select first_day.starts_at from first_day)
    and application = any(array(select limits.application from {{ ref('budgets') }} as limits))
union all
select 'tag', tag_key || '=' || tag_value, bucket, day, currency, sum(cost), sum(unpriced_requests)::bigint
from {{ ref('stg_tag_shares') }}
where bucket >= (select first_day.starts_at from first_day)
    -- reaches into the view, which then looks for these names only
    and tag_key = any((select array_agg(distinct budgets.tag_key) from {{ ref('budgets') }} as budgets)::text[])
    and (tag_key, tag_value) in (select budgets.tag_key, budgets.tag_value from {{ ref('budgets') }} as budgets)
group by 1, 2, 3, 4, 5
