-- one row per request to a model
{{ config(
    pre_hook="{{ ensure_object(this, create_core_llm_metrics(this)) }}",
    post_hook={'sql': "call internal.make_partitions_ahead()", 'transaction': false},
) }}
select null::text as request_id where false
