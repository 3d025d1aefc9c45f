-- one row per live team and type of policy, with whether one in force reaches it
with assignments as (
    select in_force.policy_type, in_force.slug, assigned.team_id, assigned.user_id
    from {{ ref('policy_assignments') }} as assigned
    inner join {{ ref('stg_policies') }} as in_force
        on in_force.policy_id = assigned.policy_id and in_force.state = 'in force'
    where {{ is_current('assigned.effective_from', ['assigned.expires_at']) }}
),

covered_teams as (
    select
        ancestors.team_id,
        assignments.policy_type,
        array_agg(distinct assignments.slug order by assignments.slug) as slugs
    from assignments
    inner join {{ ref('stg_team_ancestors') }} as ancestors
        on ancestors.ancestor_id = assignments.team_id and ancestors.is_live
    group by ancestors.team_id, assignments.policy_type
),

members as (
    select memberships.team_id, memberships.user_id
    from {{ ref('stg_live_memberships') }} as memberships
    inner join {{ ref('stg_users') }} as users on users.user_id = memberships.user_id and users.status <> 'deactivated'
),

covered_people as (
    select user_id, policy_type from assignments
    where user_id is not null
    union
    select members.user_id, covered_teams.policy_type
    from members
    inner join covered_teams on covered_teams.team_id = members.team_id
),

people as (
    select
        members.team_id,
        types.policy_type,
        count(*) as members,
        count(*) - count(covered.user_id) as uncovered_members
    from members
    cross join (select unnest({{ policy_types() }})) as types (policy_type)
    left join covered_people as covered
        on covered.user_id = members.user_id and covered.policy_type = types.policy_type
    group by members.team_id, types.policy_type
)

select
    teams.id as team_id,
    teams.name as team_name,
    types.policy_type,
    covered_teams.team_id is not null as is_covered,
    coalesce(covered_teams.slugs, '{}') as policies,
    coalesce(people.members, 0) as members,
    coalesce(people.uncovered_members, 0) as uncovered_members
from {{ ref('teams') }} as teams
cross join (select unnest({{ policy_types() }})) as types (policy_type)
left join covered_teams on covered_teams.team_id = teams.id and covered_teams.policy_type = types.policy_type
left join people on people.team_id = teams.id and people.policy_type = types.policy_type
where teams.deleted_at is null
