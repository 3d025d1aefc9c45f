-- one row per name of a source and span of time in which it means the same
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('teams') }}, {{ ref('api_keys') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_source_identities(this)) }}") }}
select null::uuid as user_id where false
