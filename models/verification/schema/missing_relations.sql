-- one row per table or view that isn't there
{#- asked after all of them in the first build of a database: these are the ends of the DAG, rules aside #}
{%- for name in [
    'mfa_secrets', 'alert_subscriptions', 'system_metrics_hourly', 'llm_latency_hourly', 'user_permissions_view',
    'team_hierarchy_view', 'cost_summary_view', 'active_sessions_view', 'alert_summary_view', 'policy_compliance_view',
    'user_activity_summary_view',
] %}{% do ref(name) %}{% endfor %}
with found as (
    select format('%s.%s', namespaces.nspname, relations.relname) as name, relations.relkind::text as kind
    from pg_class as relations
    inner join pg_namespace as namespaces on namespaces.oid = relations.relnamespace
)

select
    expected.name as subject,
    case
        when found.name is null then format('The %s does not exist.', expected.kind)
        else format('It should be a %s and is something else.', expected.kind)
    end as message,
    'Run `governance build`; what was in a lost table is in the backup.' as fix
from (values {{ expected_relations() }}) as expected (name, kind)
left join found on found.name = expected.name
where found.name is null
    or (expected.kind = 'view') <> (found.kind = 'v')
    or found.kind not in ('v', 'r', 'p')
