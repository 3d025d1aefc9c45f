-- one row per team, live or deleted; the row is the root team, which is the operator's once it is there
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_teams(this)) }}", conflict_key=['slug']) }}
select
    seed.id,
    seed.slug,
    seed.name,
    seed.description,
    seed.budget_amount,
    seed.budget_period,
    seed.currency
from {{ ref('default_team') }} as seed
where not exists (select from {{ this }} as known where known.id = seed.id or known.slug = seed.slug)
