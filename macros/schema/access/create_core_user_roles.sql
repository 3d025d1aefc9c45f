{% macro create_core_user_roles(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint user_roles_pkey primary key,
    user_id uuid not null constraint user_roles_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    role_id uuid not null constraint user_roles_role_id_fkey references {{ ref('roles') }} (id) on delete restrict,
    team_id uuid constraint user_roles_team_id_fkey references {{ ref('teams') }} (id) on delete cascade,
    granted_by uuid constraint user_roles_granted_by_fkey references {{ ref('users') }} (id) on delete set null,
    granted_at timestamptz not null default now() constraint user_roles_granted_at_check check (isfinite(granted_at)),
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_roles_expires_at_check check (expires_at > granted_at and isfinite(expires_at)),
    constraint user_roles_revoked_at_check check (revoked_at >= granted_at and isfinite(revoked_at)),
    -- expressions: the planner takes a lookup by a later column of a GiST index for cheap, which reads all of it
    constraint user_roles_user_id_role_id_team_id_excl exclude using gist (
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(role_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(granted_at, least(expires_at, revoked_at))) with &&
    )
);
create index if not exists user_roles_user_id_granted_at_idx on {{ relation }} (user_id, granted_at);
create index if not exists user_roles_role_id_idx on {{ relation }} (role_id);
create index if not exists user_roles_team_id_idx on {{ relation }} (team_id);
create index if not exists user_roles_granted_by_idx on {{ relation }} (granted_by);
create index if not exists user_roles_expires_at_idx on {{ relation }} (expires_at);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'user_roles_user_id_role_id_team_id_excl': 'One live grant of a role per user and scope (a team, or everywhere).',
    'user_roles_user_id_granted_at_idx': 'Permissions of one user, the history of the grants in order; foreign key to users.',
    'user_roles_role_id_idx': 'Who holds a role; foreign key to roles.',
    'user_roles_team_id_idx': 'Grants on one team; foreign key to teams.',
    'user_roles_granted_by_idx': 'Grants somebody made, for an access review; foreign key to users.',
    'user_roles_expires_at_idx': 'Grants that expire soon.',
}) }}
{% endmacro %}
