-- one row per cost that no request carries, with the days it is for
-- depends_on: {{ ref('audit_logs') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_shared_costs(this)) }}") }}
select null::text as name where false
