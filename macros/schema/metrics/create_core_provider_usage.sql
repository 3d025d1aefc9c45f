{#
    What providers and clouds report and invoice of usage and cost by period. Sums, not requests: the reports on usage
    don't read it, so nothing is counted beside the requests of a gateway. A period is replaced as a whole by a newer
    report of it; an invoice that was replaced stays, with when.
#}
{% macro create_core_provider_usage(relation) %}
create table if not exists {{ relation }} (
    id bigint generated always as identity constraint provider_usage_pkey primary key,
    source text not null constraint provider_usage_source_check check (source <> ''),
    account text not null default '',
    report text not null constraint provider_usage_report_check check (report <> ''),
    provider text not null constraint provider_usage_provider_check check (provider <> ''),
    period_start timestamptz not null,
    period_end timestamptz not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    model text,
    line_item text,
    requests bigint constraint provider_usage_requests_check check (requests >= 0),
    {%- for column in token_classes() %}
    {{ column }} bigint constraint provider_usage_{{ column }}_check check ({{ column }} >= 0),
    {%- endfor %}
    cost_amount numeric constraint provider_usage_cost_amount_check check (cost_amount > '-Infinity' and cost_amount < 'Infinity'),
    effective_cost_amount numeric constraint provider_usage_effective_cost_amount_check
        check (effective_cost_amount > '-Infinity' and effective_cost_amount < 'Infinity'),
    list_cost_amount numeric constraint provider_usage_list_cost_amount_check
        check (list_cost_amount > '-Infinity' and list_cost_amount < 'Infinity'),
    currency text constraint provider_usage_currency_check check (currency ~ '^[A-Z]{3}$'),
    dimensions jsonb not null default '{}' constraint provider_usage_dimensions_check check (jsonb_typeof(dimensions) = 'object'),
    loaded_at timestamptz not null default now(),
    zone text not null default 'UTC',
    invoice_id text,
    file text,
    line bigint,
    replaced_at timestamptz,
    constraint provider_usage_period_check
        check (period_start < period_end and isfinite(period_start) and isfinite(period_end)),
    constraint provider_usage_ends_at_check check (starts_at < ends_at and isfinite(starts_at) and isfinite(ends_at)),
    constraint provider_usage_cost_currency_check
        check (currency is not null or num_nonnulls(cost_amount, effective_cost_amount, list_cost_amount) = 0)
);
create index if not exists provider_usage_source_period_start_idx
    on {{ relation }} (source, account, report, provider, period_start);
{{ comment_on_indexes(relation, {
    'provider_usage_source_period_start_idx': 'A report of a period: to replace it, and to compare it with requests.',
}) }}
{% endmacro %}
