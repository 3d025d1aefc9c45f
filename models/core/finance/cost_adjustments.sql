-- one row per amount that is added to a month of a team or taken from it; append-only
-- depends_on: {{ ref('audit_logs') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_cost_adjustments(this)) }}") }}
select null::uuid as team_id where false
