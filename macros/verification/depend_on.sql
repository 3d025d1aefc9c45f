{#
    Makes a rule about everything a descendant of everything, so that a build asks it last. dbt takes dependencies while it
    parses, when its graph is not there yet: core tables are found by their macros; seeds, rollups and reporting views
    have none, so they are written down. One that is forgotten fails tests/unit/test_dbt_files.py, and the build
    (expected_relations).
#}
{% macro depend_on(names) -%}
{%- for name in names %}{% set _ = ref(name) %}{% endfor -%}
{%- endmacro %}

{% macro core_tables() %}
    {%- set names = [] -%}
    {%- for macro in context.keys() | sort if modules.re.match('create_core_', macro) -%}
        {%- do names.append(macro[12:]) -%}
    {%- endfor -%}
    {{ return(names) }}
{% endmacro %}

{% macro other_relations() %}
    {{ return([
        'system_roles', 'default_policies', 'default_team', 'verification_exceptions', 'provider_aliases', 'model_aliases',
        'model_price_list',
        'llm_metrics_hourly', 'llm_metrics_daily', 'llm_team_hourly', 'llm_team_daily', 'llm_spend_hourly', 'llm_spend_daily',
        'llm_user_hourly', 'llm_user_daily', 'llm_key_hourly', 'llm_key_daily', 'llm_model_hourly', 'llm_model_daily',
        'llm_application_hourly', 'llm_application_daily', 'llm_tag_hourly', 'llm_tag_daily',
        'llm_latency_hourly', 'llm_policy_daily', 'llm_unresolved_daily', 'llm_price_daily', 'llm_charge_daily',
        'llm_source_hourly', 'llm_source_daily', 'system_metrics_hourly', 'usage_sources',
        'user_permissions_view', 'team_hierarchy_view', 'cost_summary_view', 'active_sessions_view', 'alert_summary_view',
        'policy_compliance_view', 'user_activity_summary_view', 'spend_by_team_view', 'spend_by_team_model_view',
        'spend_by_user_view', 'spend_by_key_view', 'spend_by_model_view', 'access_review', 'key_hygiene', 'model_inventory',
        'budget_status', 'budget_breaches', 'cost_by_tag', 'chargeback', 'period_totals', 'month_to_date', 'top_movers', 'cost_of_outcomes',
        'latency_by_model', 'unresolved_owners_view', 'cost_differences', 'cost_basis', 'unpriced_usage',
        'days',
        'focus_cost_and_usage', 'cache_savings',
        'provider_reconciliation',
        'policy_coverage', 'policy_violations', 'joiners_and_leavers', 'access_review_items', 'access_decisions', 'controls',
        'my_team_spend', 'my_team_members', 'alert_history', 'data_retention', 'reporting_zone',
    ]) }}
{% endmacro %}
