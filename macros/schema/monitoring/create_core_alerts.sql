{% macro create_core_alerts(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint alerts_pkey primary key,
    alert_type text not null constraint alerts_alert_type_check check (alert_type ~ '^[a-z][a-z0-9_]{0,99}$'),
    severity text not null constraint alerts_severity_check check (severity in ('info', 'low', 'medium', 'high', 'critical')),
    status text not null default 'open' constraint alerts_status_check
        check (status in ('open', 'acknowledged', 'resolved', 'suppressed')),
    title text not null constraint alerts_title_check check (internal.validate_text('alerts.title', title, 300)),
    details jsonb not null default '{}' constraint alerts_details_check
        check (jsonb_typeof(details) = 'object' and octet_length(details::text) <= 65536),
    dedupe_key text constraint alerts_dedupe_key_check check (internal.validate_text('alerts.dedupe_key', dedupe_key, 500)),
    -- an alert is evidence: what it is about is closed or deactivated, not deleted
    policy_id uuid constraint alerts_policy_id_fkey references {{ ref('policies') }} (id) on delete restrict,
    team_id uuid constraint alerts_team_id_fkey references {{ ref('teams') }} (id) on delete restrict,
    user_id uuid constraint alerts_user_id_fkey references {{ ref('users') }} (id) on delete restrict,
    created_at timestamptz not null default now() constraint alerts_created_at_check check (isfinite(created_at)),
    acknowledged_at timestamptz,
    acknowledged_by uuid constraint alerts_acknowledged_by_fkey references {{ ref('users') }} (id) on delete set null,
    resolved_at timestamptz,
    resolved_by uuid constraint alerts_resolved_by_fkey references {{ ref('users') }} (id) on delete set null,
    updated_at timestamptz not null default now(),
    constraint alerts_acknowledged_at_check check (acknowledged_at >= created_at and isfinite(acknowledged_at)),
    constraint alerts_acknowledged_by_check check (acknowledged_by is null or acknowledged_at is not null),
    constraint alerts_resolved_at_check check (resolved_at >= created_at and isfinite(resolved_at)),
    constraint alerts_resolved_by_check check (resolved_by is null or resolved_at is not null),
    constraint alerts_status_times_check check (internal.validate_alert_times(status, acknowledged_at, resolved_at))
);
create unique index if not exists alerts_dedupe_key_unresolved_key on {{ relation }} (dedupe_key)
    where status in ('open', 'acknowledged');
create index if not exists alerts_severity_created_at_unresolved_idx on {{ relation }} (severity, created_at)
    where status in ('open', 'acknowledged');
create index if not exists alerts_alert_type_severity_created_at_idx on {{ relation }} (alert_type, severity, created_at);
create index if not exists alerts_created_at_idx on {{ relation }} (created_at);
create index if not exists alerts_policy_id_idx on {{ relation }} (policy_id);
create index if not exists alerts_team_id_idx on {{ relation }} (team_id);
create index if not exists alerts_user_id_idx on {{ relation }} (user_id);
create index if not exists alerts_acknowledged_by_idx on {{ relation }} (acknowledged_by);
create index if not exists alerts_resolved_by_idx on {{ relation }} (resolved_by);
create index if not exists alerts_details_idx on {{ relation }} using gin (details jsonb_path_ops);
{{ create_updated_at_trigger(relation) }}
create or replace trigger alerts_reopen before update of status on {{ relation }}
    for each row execute function internal.refuse_second_open_alert();
comment on trigger alerts_reopen on {{ relation }} is 'Says why an alert cannot be opened again while another one of its dedupe_key is.';
{{ comment_on_indexes(relation, {
    'alerts_dedupe_key_unresolved_key': 'One open or acknowledged alert per dedupe_key; resolved ones do not count.',
    'alerts_severity_created_at_unresolved_idx': 'Unresolved alerts, the inbox: by severity and age.',
    'alerts_alert_type_severity_created_at_idx': 'History of one kind of alert.',
    'alerts_created_at_idx': 'Alerts of a period.',
    'alerts_policy_id_idx': 'Alerts a policy caused; foreign key to policies.',
    'alerts_team_id_idx': 'Alerts about one team; foreign key to teams.',
    'alerts_user_id_idx': 'Alerts about one user; foreign key to users.',
    'alerts_acknowledged_by_idx': 'Alerts somebody took on; foreign key to users.',
    'alerts_resolved_by_idx': 'Alerts somebody resolved; foreign key to users.',
    'alerts_details_idx': 'Alerts by what they say: details @> {"model": "gpt-4o"}.',
}) }}
{% endmacro %}
