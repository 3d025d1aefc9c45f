-- one row per policy, and per target of one, of which two versions apply at once; assigning an ended version does that
with versions as (
    select id, slug, version, effective_from as begins, coalesce(effective_to, 'infinity') as ends
    from {{ ref('policies') }}
    -- a draft applies to nobody yet
    where is_active or published_at is not null
),

assignments as (
    select
        versions.slug,
        versions.version,
        case when teams.id is null then format('user %s', users.email) else format('team %s', teams.slug) end as target,
        assigned.effective_from as begins,
        coalesce(assigned.expires_at, 'infinity') as ends
    from {{ ref('policy_assignments') }} as assigned
    inner join versions on versions.id = assigned.policy_id
    left join {{ ref('teams') }} as teams on teams.id = assigned.team_id
    left join {{ ref('users') }} as users on users.id = assigned.user_id
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
where greatest(earlier.begins, later.begins) < least(earlier.ends, later.ends)
union all
select
    format('policy %s', later.slug),
    format('Versions %s and %s are in force at the same time.', earlier.version, later.version),
    'Close the older version: set its effective_to to the effective_from of the newer one.'
from versions as earlier
inner join versions as later on later.slug = earlier.slug and later.version > earlier.version
where greatest(earlier.begins, later.begins) < least(earlier.ends, later.ends)
