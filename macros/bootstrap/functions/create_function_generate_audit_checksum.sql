{% macro create_function_generate_audit_checksum() %}
create or replace function core.generate_audit_checksum(
    {{ audit_columns() | indent(4) }}
) returns bytea
language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select sha256(
        set_byte(decode('00', 'hex'), 0, checksum_version)
        || convert_to({{ audit_canonical() | indent(8) }}, 'UTF8')
    )
$f$;
comment on function core.generate_audit_checksum({{ audit_columns() }}) is
    'SHA-256 of the version byte and the canonical form (a JSON array of these arguments) of an audit entry.';
{% endmacro %}
