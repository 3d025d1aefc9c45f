{% macro create_core_applied_unit_prices(relation) %}
create table if not exists {{ relation }} (
    price_id uuid not null constraint applied_unit_prices_price_id_fkey references {{ ref('applied_prices') }} (id) on delete restrict,
    unit text not null constraint applied_unit_prices_unit_check check (unit in ('{{ price_units() | join("', '") }}')),
    list_unit_price numeric,
    unit_price numeric not null,
    list_model_price_id uuid constraint applied_unit_prices_list_model_price_id_fkey references {{ ref('model_prices') }} (id) on delete restrict,
    model_price_id uuid not null constraint applied_unit_prices_model_price_id_fkey references {{ ref('model_prices') }} (id) on delete restrict,
    constraint applied_unit_prices_pkey primary key (price_id, unit)
);
create index if not exists applied_unit_prices_model_price_id_idx on {{ relation }} (model_price_id);
create index if not exists applied_unit_prices_list_model_price_id_idx on {{ relation }} (list_model_price_id);
{{ comment_on_indexes(relation, {
    'applied_unit_prices_model_price_id_idx': 'What was costed with a price; foreign key to model_prices.',
    'applied_unit_prices_list_model_price_id_idx': 'What was costed beside a list price; foreign key to model_prices.',
}) }}
{% endmacro %}
