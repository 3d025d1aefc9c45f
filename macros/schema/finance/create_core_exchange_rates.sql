{# What one unit of a currency was worth in another on a day, and who says so. Nothing is ever converted by another rate. #}
{% macro create_core_exchange_rates(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint exchange_rates_pkey primary key,
    from_currency text not null constraint exchange_rates_from_currency_check check (from_currency ~ '^[A-Z]{3}$'),
    to_currency text not null constraint exchange_rates_to_currency_check check (to_currency ~ '^[A-Z]{3}$'),
    rate_day date not null constraint exchange_rates_rate_day_check check (isfinite(rate_day)),
    rate numeric not null constraint exchange_rates_rate_check check (rate > 0 and rate < 1e12 and min_scale(rate) <= 40),
    origin text not null constraint exchange_rates_origin_check check (internal.validate_text('exchange_rates.origin', origin, 500)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint exchange_rates_currencies_check check (from_currency <> to_currency),
    constraint exchange_rates_rate_day_key unique (from_currency, to_currency, rate_day)
);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'exchange_rates_rate_day_key': 'One rate of a pair and day; the last one up to a day.',
}) }}
{% endmacro %}
