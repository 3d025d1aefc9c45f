-- one row per decision of a review of access, with whether it is carried out
with decided as (
    select
        reviews.id,
        reviews.imported_at,
        reviews.decided_on,
        reviews.decision,
        reviews.reviewer_id,
        reviews.user_id,
        case when reviews.api_key_id is null then 'role' else 'key' end as kind,
        coalesce(roles.name, format('%s (%s…)', keys.name, keys.key_prefix)) as item,
        coalesce(grants.team_id, keys.team_id) as team_id,
        least(grants.revoked_at, grants.expires_at, keys.revoked_at, keys.expires_at) as ended_at,
        -- the same role in the same place, given once more
        grants.id in (
            select ended.id
            from {{ ref('user_roles') }} as ended
            inner join {{ ref('stg_live_grants') }} as again
                on again.user_id = ended.user_id and again.role_id = ended.role_id
                    and again.team_id is not distinct from ended.team_id and again.grant_id <> ended.id
        ) as is_granted_again
    from {{ ref('access_reviews') }} as reviews
    left join {{ ref('user_roles') }} as grants on grants.id = reviews.user_role_id
    left join {{ ref('roles') }} as roles on roles.id = grants.role_id
    left join {{ ref('api_keys') }} as keys on keys.id = reviews.api_key_id
)

select
    decided.id as decision_id,
    decided.imported_at,
    decided.decided_on,
    reviewers.email as reviewer,
    decided.kind,
    people.email,
    decided.item,
    teams.name as team_name,
    decided.decision,
    case
        when decided.decision = 'keep' and decided.ended_at <= {{ reporting_now() }} then 'kept, ended since'
        when decided.decision = 'keep' then 'kept'
        when decided.ended_at is null or decided.ended_at > {{ reporting_now() }} then 'not carried out'
        when decided.is_granted_again then 'granted again'
        else 'carried out'
    end as outcome,
    case when decided.ended_at <= {{ reporting_now() }} then decided.ended_at end as ended_at
from decided
inner join {{ ref('users') }} as reviewers on reviewers.id = decided.reviewer_id
left join {{ ref('users') }} as people on people.id = decided.user_id
left join {{ ref('teams') }} as teams on teams.id = decided.team_id
