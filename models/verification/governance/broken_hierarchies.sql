-- one row per role or team that is below itself or too deep
with recursive nodes as (
    select 'role' as kind, id, slug, parent_role_id as parent_id from {{ ref('roles') }}
    union all
    select 'team', id, slug, parent_team_id from {{ ref('teams') }}
),

ancestors as (
    select kind, id, slug, parent_id as ancestor_id, 2 as level
    from nodes
    where parent_id is not null
    union all
    select ancestors.kind, ancestors.id, ancestors.slug, nodes.parent_id, ancestors.level + 1
    from ancestors
    inner join nodes on nodes.kind = ancestors.kind and nodes.id = ancestors.ancestor_id
    where nodes.parent_id is not null
        and ancestors.ancestor_id <> ancestors.id
        and ancestors.level <= 10
)

select
    format('%s %s', kind, slug) as subject,
    case
        when bool_or(ancestor_id = id) then format('The %s is below itself.', kind)
        else format('The %s is on level 11 or deeper.', kind)
    end as message,
    format('Put it below another %s; see whether the trigger that refuses this is enabled.', kind) as fix
from ancestors
group by kind, slug
having bool_or(ancestor_id = id) or max(level) > 10
