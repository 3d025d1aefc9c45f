{# The service tier of a request as prices know it; `other` where no price can be for it. #}
{% macro normal_service_tier(column) -%}
case
    when coalesce({{ column }}, '') in ('', 'standard', 'default') then 'standard'
    else case translate(lower({{ column }} collate "C"), '- ', '__')
        when 'standard' then 'standard'
        when 'default' then 'standard'
        when 'auto' then 'standard'
        when 'on_demand' then 'standard'
        when 'standard_only' then 'standard'
        when 'batch' then 'batch'
        when 'batches' then 'batch'
        when 'flex' then 'flex'
        when 'priority' then 'priority'
        when 'fast' then 'priority'
        else 'other'
    end
end
{%- endmacro %}

{# Condition that a text is what a pattern says, in which * stands for any characters. #}
{% macro is_like(text, pattern) -%}
{{ text }} like replace(replace(replace(replace({{ pattern }}, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
{%- endmacro %}

{# Order of what could apply: a name before a pattern, the longer pattern before the shorter. #}
{% macro by_precision(pattern) -%}
{{ pattern }} is null, strpos({{ pattern }}, '*') > 0, length({{ pattern }}) desc
{%- endmacro %}
