{% macro create_core_closed_totals(relation) %}
create table if not exists {{ relation }} (
    month date not null constraint closed_totals_month_fkey references {{ ref('closed_periods') }} (month) on delete restrict,
    kind text not null constraint closed_totals_kind_check check (kind in ('usage', 'shared_cost', 'adjustment')),
    cost_center text,
    team_id uuid,
    team_path text,
    provider text,
    model text,
    currency text not null constraint closed_totals_currency_check check (currency ~ '^[A-Z]{3}$'),
    requests bigint not null,
    unpriced_requests bigint not null,
    amount numeric,
    constraint closed_totals_month_kind_key unique nulls not distinct (month, kind, team_id, provider, model, currency)
);
{{ create_rewrite_trigger(relation, [], 'what a month came to is corrected by an adjustment in an open one') }}
{{ create_delete_triggers(relation, 'what a month came to is corrected by an adjustment in an open one') }}
{{ comment_on_indexes(relation, {
    'closed_totals_month_kind_key': 'Each figure of a closed month is there once; foreign key to closed_periods.',
}) }}
{% endmacro %}
