{% macro create_core_price_revision_rows(relation) %}
create table if not exists {{ relation }} (
    revision_id bigint not null constraint price_revision_rows_revision_id_fkey references {{ ref('price_revisions') }} (id) on delete restrict,
    time timestamptz not null,
    request_id text not null,
    provider text not null,
    model text not null,
    {%- for age in ['old', 'new'] %}
    {{ age }}_cost_amount numeric,
    {{ age }}_currency text not null,
    {{ age }}_cost_source text not null,
    {{ age }}_price_id uuid,
    {{ age }}_list_cost_amount numeric,
    {{ age }}_computed_cost_amount numeric,
    {{ age }}_source_cost_amount numeric,
    {%- endfor %}
    changed_at timestamptz not null default now(),
    constraint price_revision_rows_pkey primary key (revision_id, time, request_id)
);
{{ create_delete_triggers(relation, 'the figures that a revision replaced are its evidence') }}
{% endmacro %}
