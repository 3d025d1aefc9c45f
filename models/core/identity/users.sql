-- one row per account
-- depends_on: {{ ref('audit_logs') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_users(this)) }}") }}
select null::text as email where false
