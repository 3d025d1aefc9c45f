-- one row per pair of currencies and day
-- depends_on: {{ ref('audit_logs') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_exchange_rates(this)) }}") }}
select null::text as from_currency where false
