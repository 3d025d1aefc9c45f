-- one row per target to which two versions of a policy apply at once; assigning an ended version does that
with assignments as (
    select
        policies.slug,
        policies.version,
        case when teams.id is null then format('user %s', users.email) else format('team %s', teams.slug) end as target,
        tstzrange(assigned.effective_from, assigned.expires_at) as period
    from {{ ref('policy_assignments') }} as assigned
    inner join {{ ref('policies') }} as policies on policies.id = assigned.policy_id
    left join {{ ref('teams') }} as teams on teams.id = assigned.team_id
    left join {{ ref('users') }} as users on users.id = assigned.user_id
    -- a draft applies to nobody yet
    where policies.is_active or policies.effective_to is not null
)

select distinct
    format('policy %s for %s', later.slug, later.target) as subject,
    format('Versions %s and %s apply at the same time.', earlier.version, later.version) as message,
    'Close the assignment of the older version: set its expires_at to the effective_from of the newer one.' as fix
from assignments as earlier
inner join assignments as later
    on later.slug = earlier.slug
        and later.target = earlier.target
        and later.version > earlier.version
        and later.period && earlier.period
