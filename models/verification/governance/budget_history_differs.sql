-- one row per team whose limit in force is not the one its row says
with said as (
    select id, slug, budget_amount, budget_period, currency
    from {{ ref('teams') }}
    where budget_amount is not null and deleted_at is null
),

kept as (
    select team_id, amount, period, currency
    from {{ ref('team_budgets') }}
    where {{ is_current('valid_from', ['valid_to']) }}
)

select
    format('team %s', coalesce(said.slug, teams.slug)) as subject,
    format(
        'Its row says %s, the limits it had say %s.',
        coalesce(said.budget_amount || ' ' || said.currency || ' by ' || said.budget_period, 'no limit'),
        coalesce(kept.amount || ' ' || kept.currency || ' by ' || kept.period, 'no limit')
    ) as message,
    'See that the trigger teams_budget is enabled, then set the budget of the team to another amount and back.' as fix
from said
full join kept on kept.team_id = said.id
left join {{ ref('teams') }} as teams on teams.id = kept.team_id
where (said.budget_amount, said.budget_period, said.currency) is distinct from (kept.amount, kept.period, kept.currency)
