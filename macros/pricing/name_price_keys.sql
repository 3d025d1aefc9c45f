{# Gives pg_temp.price_keys the names by which prices know provider and model. #}
{% macro name_price_keys() %}
update pg_temp.price_keys set provider = lower(said_provider collate "C"), model = said_model
{%- endmacro %}
