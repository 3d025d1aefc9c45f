{% macro create_core_applied_unit_prices(relation) %}
create table if not exists {{ relation }} (
    price_id uuid not null constraint applied_unit_prices_price_id_fkey references {{ ref('applied_prices') }} (id) on delete restrict,
    unit text not null constraint applied_unit_prices_unit_check check (unit in ('{{ price_units() | join("', '") }}')),
    list_unit_price numeric,
    unit_price numeric not null,
    list_model_price_id uuid,
    model_price_id uuid not null,
    constraint applied_unit_prices_pkey primary key (price_id, unit)
);
{% endmacro %}
