-- one row per measurement of a service
{{ config(pre_hook="{{ ensure_object(this, create_system_metrics(this)) }}") }}
select null::text as service where false
