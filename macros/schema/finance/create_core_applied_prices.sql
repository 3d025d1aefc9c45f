{#
    What price_id of a request names. The id is made of the content, so the same prices have the same id and a row never
    changes, whatever becomes of the list or the agreement. Prices and agreements are never deleted, so that naming them
    needs no foreign key.
#}
{% macro create_core_applied_prices(relation) %}
create table if not exists {{ relation }} (
    id uuid not null constraint applied_prices_pkey primary key,
    provider text not null,
    model text not null,
    service_tier text not null,
    context_above bigint not null,
    currency text not null constraint applied_prices_currency_check check (currency ~ '^[A-Z]{3}$'),
    agreement_id uuid,
    discount_percent numeric,
    date_basis text not null constraint applied_prices_date_basis_check check (date_basis in ('known', 'assumed', 'decided')),
    is_estimate boolean not null,
    created_at timestamptz not null default now()
);
{% endmacro %}
