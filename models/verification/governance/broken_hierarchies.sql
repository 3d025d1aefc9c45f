-- one row per role or team that is below itself or too deep
with recursive nodes as (
    select 'role' as kind, id, slug, parent_role_id as parent_id from {{ ref('roles') }}
    union all
    select 'team', id, slug, parent_team_id from {{ ref('teams') }}
),

lines as (
    select kind, id, slug, parent_id as above_id, 2 as level
    from nodes
    where parent_id is not null
    union all
    select lines.kind, lines.id, lines.slug, nodes.parent_id, lines.level + 1
    from lines
    inner join nodes on nodes.kind = lines.kind and nodes.id = lines.above_id
    where nodes.parent_id is not null
        and lines.above_id <> lines.id
        and lines.level <= 10
)

select
    format('%s %s', kind, slug) as subject,
    case
        when bool_or(above_id = id) then format('The %s is below itself.', kind)
        else format('The %s is on level 11 or deeper.', kind)
    end as message,
    format('Put it below another %s; see whether the trigger that refuses this is enabled.', kind) as fix
from lines
group by kind, slug
having bool_or(above_id = id) or max(level) > 10
