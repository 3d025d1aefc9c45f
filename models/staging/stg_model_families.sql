-- one row per model whose name tells who made it
select distinct on (names.canonical_model)
    names.canonical_model as model,
    families.developer,
    nullif(families.family, '') as family
from {{ ref('stg_model_names') }} as names
inner join
    (
        values
        {% for pattern, developer, family in model_families() -%}
        ({{ loop.index }}, '{{ pattern }}', '{{ developer }}', '{{ family }}'){{ ',' if not loop.last }}
        {% endfor %}
    ) as families (place, pattern, developer, family)
    on lower(names.canonical_model) ~ ('(^|[./:-])' || families.pattern)
order by names.canonical_model, families.place
