{# The running day of one user is read from the hours of that user, not from everybody's. #}
{% macro change_0004_hours_of_one_user() %}
do $$
begin
    -- a continuous aggregate has no indexes of ours
    if (select relkind from pg_class where oid = to_regclass('rollups.llm_metrics_hourly_stored')) = 'r' then
        create index if not exists llm_metrics_hourly_stored_bucket_user_id_idx on rollups.llm_metrics_hourly_stored (bucket, user_id);
        drop index if exists rollups.llm_metrics_hourly_stored_bucket_idx;
    end if;
end $$
{% endmacro %}
