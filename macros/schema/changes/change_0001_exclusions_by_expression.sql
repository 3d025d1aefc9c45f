{# Lookups by user, team or policy no longer take the GiST index of a constraint instead of the B-tree made for them. #}
{% macro change_0001_exclusions_by_expression() %}
alter table if exists core.team_members
    drop constraint if exists team_members_team_id_user_id_excl,
    add constraint team_members_team_id_user_id_excl exclude using gist (
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(joined_at, left_at)) with &&
    );
alter table if exists core.user_roles
    drop constraint if exists user_roles_user_id_role_id_team_id_excl,
    add constraint user_roles_user_id_role_id_team_id_excl exclude using gist (
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(role_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(granted_at, least(expires_at, revoked_at))) with &&
    );
alter table if exists core.policy_assignments
    drop constraint if exists policy_assignments_policy_id_team_id_user_id_excl,
    add constraint policy_assignments_policy_id_team_id_user_id_excl exclude using gist (
        (coalesce(policy_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(effective_from, expires_at)) with &&
    )
{% endmacro %}
