-- one row per live team that nobody answers for
select
    format('team %s', teams.slug) as subject,
    case
        when owners.id is null then 'It has no owner.'
        else format('Its owner %s is %s.', owners.email, owners.status)
    end as message,
    'Name somebody who answers for its budget and members.' as fix
from {{ ref('teams') }} as teams
left join {{ ref('users') }} as owners on owners.id = teams.owner_id
where teams.deleted_at is null
    and owners.status is distinct from 'active'
