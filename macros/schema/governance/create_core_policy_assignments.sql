{% macro create_core_policy_assignments(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint policy_assignments_pkey primary key,
    policy_id uuid not null constraint policy_assignments_policy_id_fkey references {{ ref('policies') }} (id) on delete restrict,
    team_id uuid constraint policy_assignments_team_id_fkey references {{ ref('teams') }} (id) on delete cascade,
    user_id uuid constraint policy_assignments_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    effective_from timestamptz not null default now() constraint policy_assignments_effective_from_check
        check (isfinite(effective_from)),
    expires_at timestamptz,
    assigned_by uuid constraint policy_assignments_assigned_by_fkey references {{ ref('users') }} (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint policy_assignments_target_check check (num_nonnulls(team_id, user_id) = 1),
    constraint policy_assignments_expires_at_check check (expires_at >= effective_from and isfinite(expires_at)),
    -- expressions: the planner takes a lookup by a later column of a GiST index for cheap, which reads all of it
    constraint policy_assignments_policy_id_team_id_user_id_excl exclude using gist (
        (coalesce(policy_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(effective_from, expires_at)) with &&
    )
);
create index if not exists policy_assignments_policy_id_idx on {{ relation }} (policy_id);
create index if not exists policy_assignments_team_id_idx on {{ relation }} (team_id);
create index if not exists policy_assignments_user_id_idx on {{ relation }} (user_id);
create index if not exists policy_assignments_assigned_by_idx on {{ relation }} (assigned_by);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'policy_assignments_policy_id_team_id_user_id_excl': 'One assignment of a policy to a team or user at a time.',
    'policy_assignments_policy_id_idx': 'Whom a policy applies to; foreign key to policies.',
    'policy_assignments_team_id_idx': 'Policies of one team; foreign key to teams.',
    'policy_assignments_user_id_idx': 'Policies of one user; foreign key to users.',
    'policy_assignments_assigned_by_idx': 'Assignments somebody made; foreign key to users.',
}) }}
{% endmacro %}
