{% macro create_internal_invalidations() %}
create table if not exists internal.invalidations (
    source text not null,
    slot timestamptz not null
);
comment on table internal.invalidations is 'Quarter hours of closed buckets that writers of a time-series table touched; append-only, emptied by refresh.';

create table if not exists internal.rollup_invalidations (
    rollup text not null,
    slot timestamptz not null,
    constraint rollup_invalidations_pkey primary key (rollup, slot)
);
comment on table internal.rollup_invalidations is 'What a rollup has still to recompute: touched quarter hours, or for one that reads another the starts of its touched buckets.';
{% endmacro %}
