-- one row per membership of a user in a team, live or ended
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_team_members(this)) }}") }}
select null::uuid as team_id where false
