-- one row per combination of prices that requests were costed with
{{ config(pre_hook="{{ ensure_object(this, create_core_applied_prices(this)) }}") }}
select null::text as provider where false
