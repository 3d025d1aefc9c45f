{# SHA-256 of the rows of a closed month, one after the other as texts, whatever the collation of the database. #}
{% macro fingerprint_of_totals(relation) -%}
encode(
    sha256(
        convert_to(
            coalesce(
                string_agg({{ text_of_total(relation) }}, e'\n' order by {{ text_of_total(relation) }} collate "C")
                filter (where {{ relation }}.month is not null),
                ''
            ),
            'UTF8'
        )
    ),
    'hex'
)
{%- endmacro %}

{% macro text_of_total(relation) -%}
jsonb_build_array(
    {{ relation }}.month, {{ relation }}.kind, {{ relation }}.cost_center, {{ relation }}.team_id, {{ relation }}.team_path,
    {{ relation }}.provider, {{ relation }}.model, {{ relation }}.currency, {{ relation }}.requests, {{ relation }}.unpriced_requests,
    trim_scale({{ relation }}.amount)
)::text
{%- endmacro %}
