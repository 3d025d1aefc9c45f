-- one row per combination of prices and token class or unit
-- depends_on: {{ ref('applied_prices') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_applied_unit_prices(this)) }}") }}
select null::text as unit where false
