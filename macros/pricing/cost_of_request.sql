{#
    Cost of a request `r` by the prices of `x`, of one kind: `list` or `price`. Exact: prices are per unit and never divided.
    Null where a class that has tokens has no price, and where nothing says how much was used.
#}
{% macro cost_of_request(kind) -%}
case
    when r.total_tokens = 0 and r.status = 'success' and x.needs_usage and not coalesce(r.units - array['{{ part_units() | join("', '") }}'] ?| x.units, false)
        then null
    else
        {% for column in token_classes() -%}
        case when r.{{ column }} = 0 then 0 else r.{{ column }} * x.{{ kind }}_{{ column }} end
        + {% endfor -%}
        case when r.status <> 'success' then 0 else coalesce(x.{{ kind }}_requests, 0) end
        + case when r.units is null or x.units is null then 0 else {{ cost_of_units(kind) }} end
end
{%- endmacro %}

{# Cost of what a source counts besides tokens, such as searches, and of a part of a class beyond that of its class. #}
{% macro cost_of_units(kind) -%}
(
    select coalesce(sum(
        case u.name
            {%- for unit, column in part_units().items() %}
            when '{{ unit }}' then least((r.units ->> u.name)::numeric, r.{{ column }})
            {%- endfor %}
            else (r.units ->> u.name)::numeric
        end * u.price
    ), 0)
    from unnest(x.units, x.{{ kind }}_of_units) as u (name, price)
    where jsonb_typeof(r.units -> u.name) = 'number' and (r.units ->> u.name)::numeric > 0
)
{%- endmacro %}
