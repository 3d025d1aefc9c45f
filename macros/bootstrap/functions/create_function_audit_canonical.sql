{% macro create_function_audit_canonical() %}
create or replace function internal.audit_canonical(
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
) returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp
return case
    -- no other entry can have been written by the trigger
    when isfinite(recorded_at) and isfinite(occurred_at) and checksum_version = 1 then {{ audit_canonical() | indent(4) }}
end;
comment on function internal.audit_canonical(
    smallint, uuid, bigint, xid8, timestamptz, timestamptz, text, text, uuid, text, text, text, uuid, jsonb, jsonb, text, inet, text, text, jsonb
) is 'The canonical form of an audit entry: what its checksum and its seal are made of; null where it can have none.';
{% endmacro %}
