{% macro create_core_audit_logs(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint audit_logs_pkey primary key,
    recorded_at timestamptz not null,
    occurred_at timestamptz not null,
    epoch bigint not null,
    xid xid8 not null,
    db_user text not null,
    actor_type text not null constraint audit_logs_actor_type_check check (actor_type in ('user', 'api_key', 'service', 'system')),
    actor_id uuid,
    actor_label text,
    action text not null constraint audit_logs_action_check check (action ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$'),
    resource_type text not null constraint audit_logs_resource_type_check check (resource_type ~ '^[a-z][a-z0-9_]*$'),
    resource_id uuid,
    before jsonb constraint audit_logs_before_check check (jsonb_typeof(before) = 'object'),
    after jsonb constraint audit_logs_after_check check (jsonb_typeof(after) = 'object'),
    outcome text not null default 'success' constraint audit_logs_outcome_check check (outcome in ('success', 'failure', 'denied')),
    -- an address, not a network: the checksum covers host(ip_address)
    ip_address inet constraint audit_logs_ip_address_check
        check (masklen(ip_address) = case family(ip_address) when 4 then 32 else 128 end),
    user_agent text,
    request_id text,
    metadata jsonb not null default '{}' constraint audit_logs_metadata_check check (jsonb_typeof(metadata) = 'object'),
    checksum_version smallint not null constraint audit_logs_checksum_version_check check (checksum_version = 1),
    checksum bytea not null constraint audit_logs_checksum_check check (octet_length(checksum) = 32)
);
create index if not exists audit_logs_epoch_xid_idx on {{ relation }} (epoch, xid);
create index if not exists audit_logs_recorded_at_idx on {{ relation }} (recorded_at);
create index if not exists audit_logs_actor_id_recorded_at_idx on {{ relation }} (actor_id, recorded_at);
create index if not exists audit_logs_resource_id_recorded_at_idx on {{ relation }} (resource_id, recorded_at);
create index if not exists audit_logs_action_recorded_at_idx on {{ relation }} (action, recorded_at);
create index if not exists audit_logs_request_id_idx on {{ relation }} (request_id);
create index if not exists audit_logs_metadata_idx on {{ relation }} using gin (metadata jsonb_path_ops);
create or replace trigger audit_logs_checksum before insert on {{ relation }}
    for each row execute function core.audit_log_trigger();
comment on trigger audit_logs_checksum on {{ relation }} is 'Sets what only the server knows, and the checksum over all of it.';
create or replace trigger audit_logs_append_only before update or delete or truncate on {{ relation }}
    for each statement execute function core.prevent_audit_log_modification();
comment on trigger audit_logs_append_only on {{ relation }} is 'Refuses UPDATE, DELETE and TRUNCATE, whether they would meet a row or not.';
create or replace trigger audit_logs_append_only_row before update or delete on {{ relation }}
    for each row execute function core.prevent_audit_log_modification();
comment on trigger audit_logs_append_only_row on {{ relation }} is 'Refuses to change a row by any way that fires no statement trigger.';
-- also for a session that pretends to be a replica
alter table {{ relation }}
    enable always trigger audit_logs_checksum,
    enable always trigger audit_logs_append_only,
    enable always trigger audit_logs_append_only_row;
{{ comment_on_indexes(relation, {
    'audit_logs_epoch_xid_idx': 'The rows of a segment to seal: those of the transactions that ended since the last one.',
    'audit_logs_recorded_at_idx': 'The trail of a period, in order.',
    'audit_logs_actor_id_recorded_at_idx': 'What somebody did, in order.',
    'audit_logs_resource_id_recorded_at_idx': 'What happened to something, in order.',
    'audit_logs_action_recorded_at_idx': 'Who did a thing, such as failed logins of a day.',
    'audit_logs_request_id_idx': 'Everything one request of the application did.',
    'audit_logs_metadata_idx': 'Entries by what the application noted: metadata @> {"changed": ["permissions"]}.',
}) }}
{% endmacro %}
