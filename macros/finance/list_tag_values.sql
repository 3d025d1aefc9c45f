{# Subquery: the texts of a jsonb array `said` as the array tag_values, each once, in the order they were given. #}
{% macro list_tag_values(said) -%}
select array_agg(once.tag_value order by once.place) as tag_values
from (
    select part.element #>> '{}' as tag_value, min(part.place) as place
    from jsonb_array_elements({{ said }}) with ordinality as part (element, place)
    group by 1
) as once
{%- endmacro %}
