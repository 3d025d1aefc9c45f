{#
    Rows of VALUES, one per name in the var cost_tags: the name, and the paths to its values in llm_tag_daily.tags. Flat tags,
    which have a name and no value, are values of the name `tag`.
#}
{% macro values_of_tag() -%}
{%- set others = [] -%}
{%- for name in var('cost_tags') %}{% do others.append('@.key != ' ~ tojson(name)) %}{% endfor -%}
{%- for name in var('cost_tags') -%}
(
    '{{ name | replace("'", "''") }}',
    '$[*] ? (@.key == {{ tojson(name) | replace("'", "''") }}).value[*] ? (@ != null)'::jsonpath,
    {% if name == 'tag' %}'$[*] ? ({{ others | join(' && ') | replace("'", "''") }}).key'::jsonpath{% else %}null::jsonpath{% endif %}
){{ ', ' if not loop.last }}
{%- else -%}
(null::text, null::jsonpath, null::jsonpath)
{%- endfor -%}
{%- endmacro %}
