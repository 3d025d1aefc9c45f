{% macro create_core_team_members(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint team_members_pkey primary key,
    team_id uuid not null constraint team_members_team_id_fkey references {{ ref('teams') }} (id) on delete cascade,
    user_id uuid not null constraint team_members_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    member_role text not null default 'member' constraint team_members_member_role_check
        check (member_role in ('manager', 'member', 'viewer')),
    joined_at timestamptz not null default now() constraint team_members_joined_at_check check (isfinite(joined_at)),
    left_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint team_members_left_at_check check (left_at >= joined_at and isfinite(left_at)),
    -- expressions: the planner takes a lookup by a later column of a GiST index for cheap, which reads all of it
    constraint team_members_team_id_user_id_excl exclude using gist (
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(joined_at, left_at)) with &&
    )
);
create index if not exists team_members_team_id_joined_at_idx on {{ relation }} (team_id, joined_at);
create index if not exists team_members_user_id_idx on {{ relation }} (user_id) include (team_id, joined_at, left_at);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'team_members_team_id_user_id_excl': 'One membership of a user in a team at a time.',
    'team_members_team_id_joined_at_idx': 'Members of one team, and who was one on a day; foreign key to teams.',
    'team_members_user_id_idx': 'Teams of one user, and of everyone in turn without reading the table; foreign key to users.',
}) }}
{% endmacro %}
