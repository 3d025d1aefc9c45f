{# Who is meant by the names that sources of usage give their people, teams, keys and projects. #}
{% macro create_core_source_identities(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint source_identities_pkey primary key,
    source text not null constraint source_identities_source_check check (internal.validate_text('source_identities.source', source, 200)),
    kind text not null constraint source_identities_kind_check check (kind in ('user', 'end_user', 'team', 'key', 'project')),
    -- as the source writes it, whatever that is
    external_id text not null constraint source_identities_external_id_check
        check (external_id <> '' and length(external_id) <= 500),
    user_id uuid constraint source_identities_user_id_fkey references {{ ref('users') }} (id) on delete restrict,
    team_id uuid constraint source_identities_team_id_fkey references {{ ref('teams') }} (id) on delete restrict,
    api_key_id uuid constraint source_identities_api_key_id_fkey references {{ ref('api_keys') }} (id) on delete restrict,
    valid_from timestamptz constraint source_identities_valid_from_check check (isfinite(valid_from)),
    valid_to timestamptz,
    decided_by text not null default session_user constraint source_identities_decided_by_check
        check (internal.validate_text('source_identities.decided_by', decided_by, 200)),
    decided_at timestamptz not null default now() constraint source_identities_decided_at_check check (isfinite(decided_at)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint source_identities_owner_check check (num_nonnulls(user_id, team_id, api_key_id) >= 1),
    constraint source_identities_valid_to_check check (valid_to > valid_from and isfinite(valid_to)),
    constraint source_identities_validity_excl exclude using gist (
        (source) with =,
        (kind) with =,
        (external_id) with =,
        (tstzrange(valid_from, valid_to)) with &&
    )
);
create index if not exists source_identities_user_id_idx on {{ relation }} (user_id);
create index if not exists source_identities_team_id_idx on {{ relation }} (team_id);
create index if not exists source_identities_api_key_id_idx on {{ relation }} (api_key_id);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'source_identities_validity_excl': 'One meaning of a name at a time; who is meant by a name of a source.',
    'source_identities_user_id_idx': 'Names of one user; foreign key to users.',
    'source_identities_team_id_idx': 'Names of one team; foreign key to teams.',
    'source_identities_api_key_id_idx': 'Names of one key; foreign key to api_keys.',
}) }}
{% endmacro %}
