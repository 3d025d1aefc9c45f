-- one row per policy version, with what the clock says of it now
select
    id as policy_id,
    slug,
    name as policy_name,
    policy_type,
    version,
    enforcement,
    effective_from,
    effective_to,
    case
        when effective_to <= greatest(effective_from, {{ reporting_now() }}) then 'ended'
        when not is_active and published_at is null then 'draft'
        when effective_from > {{ reporting_now() }} then 'scheduled'
        else 'in force'
    end as state
from {{ ref('policies') }}
