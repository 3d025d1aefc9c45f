-- one row per role and permission it has, its own or inherited; where several roles of its line have it, the nearest
with recursive lines as (
    select
        id as role_id,
        slug as role_slug,
        id as source_role_id,
        parent_role_id as next_role_id,
        0 as depth
    from {{ ref('roles') }}
    union all
    select
        lines.role_id,
        lines.role_slug,
        roles.id,
        roles.parent_role_id,
        lines.depth + 1
    from lines
    inner join {{ ref('roles') }} as roles on roles.id = lines.next_role_id
    -- as deep as a line may be, so one that somebody closed to a ring past the triggers comes to an end
    where lines.depth < 9
),

own_permissions as (
    select
        roles.id as role_id,
        roles.slug as role_slug,
        resources.resource,
        actions.action
    from {{ ref('roles') }} as roles
    -- what the constraint refuses gives nobody anything, and doesn't keep the others from what is theirs
    cross join
        jsonb_each(case jsonb_typeof(roles.permissions) when 'object' then roles.permissions else '{}' end)
            as resources (resource, actions)
    cross join
        jsonb_array_elements_text(
            case jsonb_typeof(resources.actions) when 'array' then resources.actions else '[]' end
        )
            as actions (action)
)

select distinct on (lines.role_id, own_permissions.resource, own_permissions.action)
    lines.role_id,
    lines.role_slug,
    own_permissions.resource,
    own_permissions.action,
    case when lines.depth > 0 then own_permissions.role_slug end as inherited_from_role,
    lines.depth as inheritance_depth
from lines
inner join own_permissions on own_permissions.role_id = lines.source_role_id
order by lines.role_id, own_permissions.resource, own_permissions.action, lines.depth
