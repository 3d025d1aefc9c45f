-- one row per assignment of a policy version to a team or a user, live or ended
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('teams') }}, {{ ref('policies') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_policy_assignments(this)) }}") }}
select null::uuid as policy_id where false
