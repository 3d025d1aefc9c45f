{% macro create_internal_schema_objects() %}
create table if not exists internal.schema_objects (
    name text constraint schema_objects_pkey primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
comment on table internal.schema_objects is 'One row per object: checksum of the DDL that was applied last.';
{% endmacro %}
