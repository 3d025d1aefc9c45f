-- one row per session, live or ended
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_sessions(this)) }}") }}
select null::uuid as user_id where false
