{% macro create_core_price_agreements(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint price_agreements_pkey primary key,
    name text not null constraint price_agreements_name_check check (internal.validate_text('price_agreements.name', name, 200)),
    provider text constraint price_agreements_provider_check check (internal.validate_text('price_agreements.provider', provider, 200)),
    model text constraint price_agreements_model_check check (internal.validate_text('price_agreements.model', model, 200)),
    team_id uuid constraint price_agreements_team_id_fkey references {{ ref('teams') }} (id) on delete restrict,
    discount_percent numeric constraint price_agreements_discount_percent_check
        check (discount_percent > 0 and discount_percent <= 100 and min_scale(discount_percent) <= 20),
    price_list text constraint price_agreements_price_list_check
        check (price_list ~ '^[a-z0-9]+([._-][a-z0-9]+)*$' and length(price_list) <= 100 and price_list <> 'list'),
    valid_from timestamptz not null constraint price_agreements_valid_from_check check (isfinite(valid_from)),
    valid_to timestamptz constraint price_agreements_valid_to_check check (valid_to > valid_from and isfinite(valid_to)),
    origin text not null constraint price_agreements_origin_check check (internal.validate_text('price_agreements.origin', origin, 500)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint price_agreements_kind_check check (num_nonnulls(discount_percent, price_list) = 1),
    constraint price_agreements_scope_excl exclude using gist (
        (coalesce(provider, '') || e'\n' || coalesce(model, '') || e'\n' || coalesce(team_id::text, '')) with =,
        (tstzrange(valid_from, valid_to)) with &&
    )
);
create index if not exists price_agreements_team_id_idx on {{ relation }} (team_id);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ create_delete_triggers(relation, 'end it with valid_to') }}
{{ comment_on_indexes(relation, {
    'price_agreements_scope_excl': 'One agreement of a scope at a time.',
    'price_agreements_team_id_idx': 'Agreements of a team; foreign key to teams.',
}) }}
{% endmacro %}
