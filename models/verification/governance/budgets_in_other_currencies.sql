-- one row per live team with a budget in another currency than the budget above it
select
    format('team %s', teams.slug) as subject,
    format(
        'Its budget is in %s, that of %s above it in %s: currencies are never added, so its spend is missing there.',
        teams.currency,
        parents.slug,
        parents.currency
    ) as message,
    'Nothing needs to be done if that is known; else give both budgets one currency.' as fix
from {{ ref('teams') }} as teams
inner join {{ ref('teams') }} as parents on parents.id = teams.parent_team_id
where teams.deleted_at is null
    and teams.budget_amount is not null
    and parents.budget_amount is not null
    and teams.currency <> parents.currency
