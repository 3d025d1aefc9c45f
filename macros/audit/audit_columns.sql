{# What the checksum of an audit entry covers, as arguments of a function. #}
{% macro audit_columns() -%}
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
{%- endmacro %}
