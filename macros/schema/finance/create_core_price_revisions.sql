{% macro create_core_price_revisions(relation) %}
create table if not exists {{ relation }} (
    id bigint generated always as identity constraint price_revisions_pkey primary key,
    reason text not null constraint price_revisions_reason_check check (internal.validate_text('price_revisions.reason', reason, 1000)),
    requested_by text not null,
    db_user text not null default session_user,
    from_time timestamptz not null constraint price_revisions_from_time_check check (isfinite(from_time)),
    to_time timestamptz not null constraint price_revisions_to_time_check check (to_time > from_time and isfinite(to_time)),
    provider text,
    model text,
    only_unpriced boolean not null,
    started_at timestamptz not null default now(),
    done_before timestamptz not null,
    finished_at timestamptz,
    requests bigint not null default 0 constraint price_revisions_requests_check check (requests >= 0),
    old_totals jsonb not null default '{}' constraint price_revisions_old_totals_check check (jsonb_typeof(old_totals) = 'object'),
    new_totals jsonb not null default '{}' constraint price_revisions_new_totals_check check (jsonb_typeof(new_totals) = 'object')
);
{{ create_delete_triggers(relation, 'a revision is the evidence of what it changed') }}
{% endmacro %}
