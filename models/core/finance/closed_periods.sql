-- one row per month that is closed; append-only
-- depends_on: {{ ref('audit_logs') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_closed_periods(this)) }}") }}
select null::date as month where false
