{#
    The canonical form of an audit entry, version 1, as text; it never changes, a new form gets a new version. One JSON
    array: no field can run into the next, a null is a null, and nothing depends on the session (times as microseconds, no
    bytea, no float).
#}
{% macro audit_canonical() -%}
jsonb_build_array(
    checksum_version, id, epoch, xid,
    (extract(epoch from recorded_at) * 1000000)::bigint, (extract(epoch from occurred_at) * 1000000)::bigint,
    db_user, actor_type, actor_id, actor_label, action, resource_type, resource_id, before, after, outcome,
    host(ip_address), user_agent, request_id, metadata
)::text
{%- endmacro %}
