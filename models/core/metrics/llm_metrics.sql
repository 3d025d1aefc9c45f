-- one row per request to a model
{{ config(pre_hook="{{ ensure_object(this, create_llm_metrics(this)) }}") }}
select null::text as request_id where false
