{#
    Of a request's tags those that cost is told by: `names`, without it the var cost_tags, and where they have `tag`, flat tags (a name
    whose value is true, as a list of texts becomes). Anything else would make a group of every request. Of built-in immutable
    parts only, for a continuous aggregate takes no others.
#}
{% macro tags_of_cost(tags, names=none) -%}
{%- set wanted = [] -%}
{%- for name in (var('cost_tags') if names is none else names) -%}
    {%- do wanted.append('@.key == ' ~ tojson(name)) -%}
    {%- if name == 'tag' %}{% do wanted.append('@.value == true') %}{% endif -%}
{%- endfor -%}
coalesce(
    jsonb_path_query_array({{ tags }}, '$.keyvalue() ? ({{ (wanted or ['false == true']) | join(' || ') | replace("'", "''") }})'::jsonpath),
    '[]'::jsonb
)
{%- endmacro %}
