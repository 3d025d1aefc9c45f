{#
    Makes a rule about everything a descendant of everything, so that a build asks it last. dbt wants dependencies written
    down before it knows its graph; a name that is forgotten here fails the build (expected_relations).
#}
{% macro depend_on(names) -%}
{%- for name in names %}{% set _ = ref(name) %}{% endfor -%}
{%- endmacro %}

{% macro core_tables() %}
    {{ return([
        'users', 'mfa_secrets', 'sessions', 'api_keys', 'roles', 'user_roles', 'teams', 'team_members', 'policies',
        'policy_assignments', 'audit_logs', 'alerts', 'alert_subscriptions', 'llm_metrics', 'system_metrics',
    ]) }}
{% endmacro %}

{% macro other_relations() %}
    {{ return([
        'system_roles', 'default_policies', 'default_team', 'verification_exceptions',
        'llm_metrics_hourly', 'llm_metrics_daily', 'llm_team_daily', 'llm_spend_daily', 'llm_user_daily',
        'llm_latency_hourly', 'llm_policy_daily', 'system_metrics_hourly',
        'user_permissions_view', 'team_hierarchy_view', 'cost_summary_view', 'active_sessions_view', 'alert_summary_view',
        'policy_compliance_view', 'user_activity_summary_view',
    ]) }}
{% endmacro %}
