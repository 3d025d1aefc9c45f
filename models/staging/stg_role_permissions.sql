-- one row per role and permission it has, its own or inherited; where several of its ancestors have it, the nearest
with recursive ancestors as (
    select
        id as role_id,
        slug as role_slug,
        id as source_role_id,
        parent_role_id as next_role_id,
        0 as depth
    from {{ ref('roles') }}
    union all
    select
        ancestors.role_id,
        ancestors.role_slug,
        roles.id,
        roles.parent_role_id,
        ancestors.depth + 1
    from ancestors
    inner join {{ ref('roles') }} as roles on roles.id = ancestors.next_role_id
    -- as deep as a hierarchy may be, so a cycle that somebody made past the triggers comes to an end
    where ancestors.depth < 9
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

select distinct on (ancestors.role_id, own_permissions.resource, own_permissions.action)
    ancestors.role_id,
    ancestors.role_slug,
    own_permissions.resource,
    own_permissions.action,
    case when ancestors.depth > 0 then own_permissions.role_slug end as inherited_from_role,
    ancestors.depth as inheritance_depth
from ancestors
inner join own_permissions on own_permissions.role_id = ancestors.source_role_id
order by ancestors.role_id, own_permissions.resource, own_permissions.action, ancestors.depth
