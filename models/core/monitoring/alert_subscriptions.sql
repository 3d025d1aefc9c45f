-- one row per user, kind of alert and place it is sent to
-- depends_on: {{ ref('users') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_alert_subscriptions(this)) }}") }}
select null::uuid as user_id where false
