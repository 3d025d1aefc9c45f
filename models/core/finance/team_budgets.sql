-- one row per limit a team had; the rows are those of the teams that were there before this table, from the audit trail
-- depends_on: {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_team_budgets(this)) }}", conflict_key=['id']) }}
with said as (
    select
        teams.id as team_id,
        teams.created_at,
        teams.deleted_at,
        least(trail.recorded_at, now()) as said_at,
        trail.after,
        coalesce(trail.actor_id::text, '') as set_by,
        trail.actor_label
    from {{ ref('teams') }} as teams
    inner join {{ ref('audit_logs') }} as trail on trail.resource_id = teams.id and trail.resource_type = 'teams'
    where trail.after is not null and not exists (select from {{ this }})
),

-- what the row says now is the last word, also of a team that the trail knows nothing of
words as (
    select
        team_id,
        said_at,
        (after ->> 'budget_amount')::numeric as amount,
        after ->> 'currency' as currency,
        after ->> 'budget_period' as period,
        (after ->> 'deleted_at') is null as is_live,
        nullif(set_by, '')::uuid as set_by,
        actor_label as set_by_label,
        0 as place
    from said
    union all
    select id, now(), budget_amount, currency, budget_period, deleted_at is null, null, null, 1
    from {{ ref('teams') }}
    where not exists (select from {{ this }})
),

changes as (
    select
        words.*,
        lag(words.said) over (partition by words.team_id order by words.place, words.said_at) as said_before
    from (select *, concat_ws(' ', trim_scale(amount), currency, period, is_live) as said from words) as words
),

limits as (
    select
        changes.*,
        -- the first one held from the team's beginning
        case
            when changes.said_before is null then least(changes.said_at, teams.created_at)
            else changes.said_at
        end as valid_from,
        lead(changes.said_at) over (partition by changes.team_id order by changes.place, changes.said_at) as valid_to
    from changes
    inner join {{ ref('teams') }} as teams on teams.id = changes.team_id
    where changes.said is distinct from changes.said_before
)

select gen_random_uuid() as id, team_id, amount, currency, period, valid_from, valid_to, set_by, set_by_label
from limits
where amount >= 0 and amount < 1e15 and min_scale(amount) <= 40 and is_live
