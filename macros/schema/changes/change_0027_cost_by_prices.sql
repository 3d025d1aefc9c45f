{# What a request costs by the list and by our prices, beside what its source said; older rows have neither. #}
{% macro change_0027_cost_by_prices() %}
alter table if exists core.llm_metrics
    add column if not exists list_cost_amount numeric,
    add column if not exists computed_cost_amount numeric,
    add column if not exists source_cost_amount numeric
{% endmacro %}
