{% macro create_core_alert_subscriptions(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint alert_subscriptions_pkey primary key,
    user_id uuid not null constraint alert_subscriptions_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    alert_type text not null constraint alert_subscriptions_alert_type_check check (alert_type ~ '^([a-z][a-z0-9_]{0,99}|[*])$'),
    min_severity text not null default 'medium' constraint alert_subscriptions_min_severity_check
        check (min_severity in ('info', 'low', 'medium', 'high', 'critical')),
    channel text not null constraint alert_subscriptions_channel_check check (channel in ('email', 'slack', 'webhook')),
    target text not null constraint alert_subscriptions_target_look_check
        check (internal.validate_text('alert_subscriptions.target', target, 2000)),
    is_enabled boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint alert_subscriptions_user_id_alert_type_channel_target_key unique (user_id, alert_type, channel, target),
    constraint alert_subscriptions_target_check check (
        case channel
            when 'email' then target ~ '^[^@[:space:]]+@[^@[:space:].]+([.][^@[:space:].]+)+$'
            when 'slack' then target ~ '^([#@][^[:space:]]+|https://[^[:space:]]+)$'
            when 'webhook' then target ~ '^https?://[^[:space:]]+$'
        end
    )
);
create index if not exists alert_subscriptions_alert_type_idx on {{ relation }} (alert_type);
{{ create_updated_at_trigger(relation) }}
{{ comment_on_indexes(relation, {
    'alert_subscriptions_user_id_alert_type_channel_target_key':
        'The same message to the same place only once; subscriptions of one user; foreign key to users.',
    'alert_subscriptions_alert_type_idx': 'Whom to tell about an alert.',
}) }}
{% endmacro %}
