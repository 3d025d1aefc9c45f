-- one row per live team whose parent is deleted
select
    format('team %s', teams.slug) as subject,
    format('It is live and its parent %s is deleted.', parents.slug) as message,
    'Put it below a live team, or delete it too; reports show it below the nearest live team until then.' as fix
from {{ ref('teams') }} as teams
inner join {{ ref('teams') }} as parents on parents.id = teams.parent_team_id
where teams.deleted_at is null
    and parents.deleted_at is not null
