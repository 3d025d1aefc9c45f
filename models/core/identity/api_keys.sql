-- one row per API key, live or ended
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_api_keys(this)) }}") }}
select null::uuid as user_id where false
