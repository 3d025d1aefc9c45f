-- one row per account and kind of second factor
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_mfa_secrets(this)) }}") }}
select null::uuid as user_id where false
