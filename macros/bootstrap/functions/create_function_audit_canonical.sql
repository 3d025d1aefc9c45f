{% macro create_function_audit_canonical() %}
create or replace function internal.audit_canonical(
    {{ audit_columns() | indent(4) }}
) returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp
return case
    -- no other entry can have been written by the trigger
    when isfinite(recorded_at) and isfinite(occurred_at) and checksum_version = 1 then {{ audit_canonical() | indent(4) }}
end;
comment on function internal.audit_canonical({{ audit_columns() }}) is
    'The canonical form of an audit entry: what its checksum and its seal are made of; null where it can have none.';
{% endmacro %}
