-- one row per version of a policy; the rows are the default policies, which are the operator's once they are there
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_policies(this)) }}", conflict_key=['slug', 'version']) }}
select
    seed.id,
    seed.slug,
    1 as version,
    seed.name,
    seed.description,
    seed.policy_type,
    seed.rules,
    seed.enforcement,
    seed.priority,
    true as is_active
from {{ ref('default_policies') }} as seed
where not exists (select from {{ this }} as known where known.id = seed.id or known.slug = seed.slug)
