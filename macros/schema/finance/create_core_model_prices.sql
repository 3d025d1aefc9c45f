{#
    Unit prices are facts that requests were costed with: a row is closed (valid_to) or replaced (superseded_at), never
    changed. The text of the key is one expression, so that the exclusion constraint compares one value.
#}
{% macro create_core_model_prices(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint model_prices_pkey primary key,
    price_list text not null default 'list' constraint model_prices_price_list_check
        check (price_list ~ '^[a-z0-9]+([._-][a-z0-9]+)*$' and length(price_list) <= 100),
    provider text not null constraint model_prices_provider_check
        check (internal.validate_text('model_prices.provider', provider, 200) and provider = lower(provider collate "C")),
    model text not null constraint model_prices_model_check check (internal.validate_text('model_prices.model', model, 200)),
    unit text not null constraint model_prices_unit_check check (unit in ('{{ price_units() | join("', '") }}')),
    service_tier text not null default 'standard' constraint model_prices_service_tier_check
        check (service_tier in ('standard', 'batch', 'flex', 'priority')),
    context_above bigint not null default 0 constraint model_prices_context_above_check check (context_above >= 0),
    region text constraint model_prices_region_check check (internal.validate_text('model_prices.region', region, 200)),
    currency text not null constraint model_prices_currency_check check (currency ~ '^[A-Z]{3}$'),
    unit_price numeric not null constraint model_prices_unit_price_check
        check (unit_price >= 0 and unit_price < 1e12 and min_scale(unit_price) <= 40),
    valid_from timestamptz not null constraint model_prices_valid_from_check check (valid_from < 'infinity'),
    valid_to timestamptz constraint model_prices_valid_to_check check (valid_to > valid_from and isfinite(valid_to)),
    date_basis text not null constraint model_prices_date_basis_check check (date_basis in ('known', 'assumed', 'decided')),
    origin text not null constraint model_prices_origin_check check (internal.validate_text('model_prices.origin', origin, 500)),
    observed_on date not null default current_date constraint model_prices_observed_on_check check (isfinite(observed_on)),
    superseded_at timestamptz constraint model_prices_superseded_at_check check (isfinite(superseded_at)),
    created_at timestamptz not null default now(),
    created_by text not null default session_user,
    constraint model_prices_key_excl exclude using gist (
        (price_list || e'\n' || provider || e'\n' || model || e'\n' || unit || e'\n' || service_tier || e'\n'
            || context_above::text || e'\n' || coalesce(region, '') || e'\n' || currency) with =,
        (tstzrange(valid_from, valid_to)) with &&
    ) where (superseded_at is null)
);
create index if not exists model_prices_provider_model_idx on {{ relation }} (provider, model) where superseded_at is null;
create or replace trigger model_prices_refuse_change before update on {{ relation }}
    for each row execute function internal.refuse_price_change();
comment on trigger model_prices_refuse_change on {{ relation }} is 'A price that requests were costed with stays what it was: it is ended or superseded.';
{{ create_delete_triggers(relation, 'end it with valid_to, or take it out of use with superseded_at') }}
{{ comment_on_indexes(relation, {
    'model_prices_key_excl': 'One price of a key at a time.',
    'model_prices_provider_model_idx': 'The prices of a model.',
}) }}
{% endmacro %}
