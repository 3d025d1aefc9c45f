{#
    What `governance` last had dbt do with each node, for Dagster, which may run elsewhere or later. What Dagster runs
    itself it knows already.
#}
{% macro create_internal_dbt_results() %}
create table if not exists internal.dbt_results (
    node text constraint dbt_results_pkey primary key,
    status text not null,
    failures bigint,
    seconds double precision not null,
    finished_at timestamptz not null,
    recorded_at timestamptz not null,
    invocation text
);
comment on table internal.dbt_results is 'One row per model, seed and data test: how its last run by the command line ended.';
comment on column internal.dbt_results.node is 'Its unique id in dbt.';
comment on column internal.dbt_results.status is 'success or error of a model or seed; pass, warn, fail or error of a test.';
comment on column internal.dbt_results.failures is 'Rows a test found.';
comment on column internal.dbt_results.recorded_at is 'Rises in the order of the commits, so that a reader misses none.';
comment on column internal.dbt_results.invocation is 'Id of the run of dbt, as its artifacts have it; null = not known.';
{% endmacro %}
