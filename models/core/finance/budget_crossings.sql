-- one row per threshold of a limit that was crossed in a period; append-only
-- depends_on: {{ ref('audit_logs') }}, {{ ref('team_budgets') }}, {{ ref('budgets') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_budget_crossings(this)) }}") }}
select null::uuid as budget_id where false
