-- one row per limit of a user, key, application, cost centre or tag
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('api_keys') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_budgets(this)) }}") }}
select null::uuid as user_id where false
