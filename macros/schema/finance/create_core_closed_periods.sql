{% macro create_core_closed_periods(relation) %}
create table if not exists {{ relation }} (
    month date not null constraint closed_periods_pkey primary key
        constraint closed_periods_month_check check (isfinite(month) and extract(day from month) = 1),
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    requests bigint not null,
    unpriced_requests bigint not null,
    totals jsonb not null constraint closed_periods_totals_check check (jsonb_typeof(totals) = 'object'),
    fingerprint text not null constraint closed_periods_fingerprint_check check (fingerprint ~ '^[0-9a-f]{64}$'),
    closed_by text not null constraint closed_periods_closed_by_check
        check (internal.validate_text('closed_periods.closed_by', closed_by, 200)),
    db_user text not null default session_user,
    closed_at timestamptz not null default now(),
    constraint closed_periods_span_check check (starts_at < ends_at and ends_at <= closed_at)
);
{{ create_rewrite_trigger(relation, [], 'what a month came to is corrected by an adjustment in an open one') }}
{{ create_delete_triggers(relation, 'what a month came to is corrected by an adjustment in an open one') }}
{{ create_audit_triggers(relation) }}
{% endmacro %}
