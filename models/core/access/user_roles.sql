-- one row per grant of a role to a user, live or ended
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('roles') }}, {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_user_roles(this)) }}") }}
select null::uuid as user_id where false
