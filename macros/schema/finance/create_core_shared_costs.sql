{# Cost that no request carries: a commitment, a provisioned throughput, seats. The report of charges spreads it. #}
{% macro create_core_shared_costs(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint shared_costs_pkey primary key,
    name text not null constraint shared_costs_name_check check (internal.validate_text('shared_costs.name', name, 200)),
    kind text not null constraint shared_costs_kind_check
        check (kind in ('commitment', 'provisioned_throughput', 'seats', 'other')),
    amount numeric not null constraint shared_costs_amount_check
        check (amount >= 0 and amount < 1e15 and min_scale(amount) <= 40),
    currency text not null constraint shared_costs_currency_check check (currency ~ '^[A-Z]{3}$'),
    first_day date not null constraint shared_costs_first_day_check check (isfinite(first_day)),
    end_day date not null,
    allocation_key text not null constraint shared_costs_allocation_key_check
        check (allocation_key in ('cost', 'requests', 'tokens', 'equal', 'fixed')),
    provider text constraint shared_costs_provider_check check (internal.validate_text('shared_costs.provider', provider, 200)),
    model text constraint shared_costs_model_check check (internal.validate_text('shared_costs.model', model, 200)),
    weights jsonb constraint shared_costs_weights_check check (internal.validate_weights(weights)),
    origin text not null constraint shared_costs_origin_check check (internal.validate_text('shared_costs.origin', origin, 500)),
    created_by uuid default {{ acting_user() }},
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint shared_costs_end_day_check check (end_day > first_day and end_day <= first_day + 3660),
    constraint shared_costs_fixed_check check ((allocation_key = 'fixed') = (weights is not null)),
    constraint shared_costs_basis_check check (allocation_key <> 'fixed' or num_nonnulls(provider, model) = 0)
);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{% endmacro %}
