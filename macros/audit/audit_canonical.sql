{#
    The canonical form of an audit entry, version 1, as text; it never changes, a new form gets a new version. One JSON
    array: no field can run into the next, a null is a null, and nothing depends on the session (times as microseconds, no
    bytea, no float).
#}
{% macro audit_canonical(row='') -%}
jsonb_build_array(
    {{ row }}checksum_version, {{ row }}id, {{ row }}epoch, {{ row }}xid,
    (extract(epoch from {{ row }}recorded_at) * 1000000)::bigint, (extract(epoch from {{ row }}occurred_at) * 1000000)::bigint,
    {{ row }}db_user, {{ row }}actor_type, {{ row }}actor_id, {{ row }}actor_label, {{ row }}action, {{ row }}resource_type,
    {{ row }}resource_id, {{ row }}before, {{ row }}after, {{ row }}outcome,
    host({{ row }}ip_address), {{ row }}user_agent, {{ row }}request_id, {{ row }}metadata
)::text
{%- endmacro %}
