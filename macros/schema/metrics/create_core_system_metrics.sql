{% macro create_core_system_metrics(relation) %}
{%- set columns %}
    time timestamptz not null constraint system_metrics_time_check check (isfinite(time)),
    service text not null constraint system_metrics_service_check check (service <> ''),
    host text,
    metric_name text not null constraint system_metrics_metric_name_check check (metric_name <> ''),
    value double precision not null,
    unit text,
    labels jsonb constraint system_metrics_labels_check check (jsonb_typeof(labels) = 'object')
{%- endset %}
{{ create_time_series_table(relation, columns, {'orderby': 'service, metric_name, time'}) }}
create index if not exists system_metrics_time_idx on {{ relation }} (time);
create index if not exists system_metrics_service_metric_name_time_idx on {{ relation }} (service, metric_name, time);
comment on index core.system_metrics_time_idx is 'Refresh of touched buckets and the live tail of the rollup.';
comment on index core.system_metrics_service_metric_name_time_idx is 'The course of one metric of one service.';
{% endmacro %}
