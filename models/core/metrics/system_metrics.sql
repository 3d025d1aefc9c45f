-- one row per measurement of a service
{{ config(
    pre_hook="{{ ensure_object(this, create_core_system_metrics(this)) }}",
    post_hook={'sql': "call internal.make_partitions_ahead()", 'transaction': false},
) }}
select null::text as service where false
