{% macro create_function_generate_audit_checksum() %}
create or replace function core.generate_audit_checksum(
    checksum_version smallint,
    id uuid,
    epoch bigint,
    xid xid8,
    recorded_at timestamptz,
    occurred_at timestamptz,
    db_user text,
    actor_type text,
    actor_id uuid,
    actor_label text,
    action text,
    resource_type text,
    resource_id uuid,
    before jsonb,
    after jsonb,
    outcome text,
    ip_address inet,
    user_agent text,
    request_id text,
    metadata jsonb
) returns bytea
language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select sha256(
        set_byte(decode('00', 'hex'), 0, checksum_version)
        || convert_to({{ audit_canonical() | indent(8) }}, 'UTF8')
    )
$f$;
comment on function core.generate_audit_checksum(
    smallint, uuid, bigint, xid8, timestamptz, timestamptz, text, text, uuid, text, text, text, uuid, jsonb, jsonb, text, inet, text, text, jsonb
) is 'SHA-256 of the version byte and the canonical form (a JSON array of these arguments) of an audit entry.';
{% endmacro %}
