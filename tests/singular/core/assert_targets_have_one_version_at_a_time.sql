-- two versions of a policy never apply to one target at once: publishing sees to it, assigning an ended one breaks it
{{ config(meta={'dagster': {'ref': {'name': 'policy_assignments'}}}) }}
with assignments as (
    select
        policy_assignments.id,
        policies.slug,
        policies.version,
        coalesce(policy_assignments.team_id, policy_assignments.user_id) as target_id,
        tstzrange(policy_assignments.effective_from, policy_assignments.expires_at) as period
    from {{ ref('policy_assignments') }} as policy_assignments
    inner join {{ ref('policies') }} as policies on policies.id = policy_assignments.policy_id
    -- a draft applies to nobody yet
    where policies.is_active or policies.effective_to is not null
)

select later.id
from assignments as earlier
inner join assignments as later
    on later.slug = earlier.slug
        and later.target_id = earlier.target_id
        and later.version > earlier.version
        and later.period && earlier.period
