-- one row per amount that finance adds to a month of a team or takes from it; append-only
-- depends_on: {{ ref('audit_logs') }}, {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_cost_adjustments(this)) }}") }}
select null::uuid as team_id where false
