-- one row per line of a provider's report for a period
{{ config(pre_hook="{{ ensure_object(this, create_core_provider_usage(this)) }}") }}
select null::text as source where false
