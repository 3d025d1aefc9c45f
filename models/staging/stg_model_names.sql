-- one row per provider and model as sources spell them, with the name that reports use
-- depends_on: {{ ref('name_aliases') }}, {{ ref('provider_aliases') }}, {{ ref('model_aliases') }}
select
    provider,
    model,
    canonical_provider,
    canonical_model,
    row(canonical_provider, canonical_model)::text as canonical_name
from internal.model_names
