{% macro create_core_api_keys(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint api_keys_pkey primary key,
    -- spend is reported by key: an owner with keys is deactivated, never deleted
    user_id uuid constraint api_keys_user_id_fkey references {{ ref('users') }} (id) on delete restrict,
    team_id uuid constraint api_keys_team_id_fkey references {{ ref('teams') }} (id) on delete restrict,
    name text not null constraint api_keys_name_check check (internal.validate_text('api_keys.name', name, 200)),
    key_prefix text not null constraint api_keys_key_prefix_check check (key_prefix ~ '^[A-Za-z0-9_-]{4,16}$'),
    key_hash bytea not null constraint api_keys_key_hash_check check (octet_length(key_hash) = 32),
    scopes jsonb not null default '{}' constraint api_keys_scopes_check check (core.validate_permissions(scopes)),
    last_used_at timestamptz constraint api_keys_last_used_at_check check (isfinite(last_used_at)),
    expires_at timestamptz,
    revoked_at timestamptz,
    created_by uuid constraint api_keys_created_by_fkey references {{ ref('users') }} (id) on delete set null,
    created_at timestamptz not null default now() constraint api_keys_created_at_check check (isfinite(created_at)),
    updated_at timestamptz not null default now(),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_owner_check check (num_nonnulls(user_id, team_id) >= 1),
    constraint api_keys_expires_at_check check (expires_at > created_at and isfinite(expires_at)),
    constraint api_keys_revoked_at_check check (revoked_at >= created_at and isfinite(revoked_at))
);
create index if not exists api_keys_user_id_idx on {{ relation }} (user_id);
create index if not exists api_keys_team_id_idx on {{ relation }} (team_id);
create index if not exists api_keys_created_by_idx on {{ relation }} (created_by);
create index if not exists api_keys_key_prefix_idx on {{ relation }} (key_prefix);
create index if not exists api_keys_expires_at_idx on {{ relation }} (expires_at);
create index if not exists api_keys_scopes_idx on {{ relation }} using gin (scopes jsonb_path_ops);
{{ create_updated_at_trigger(relation) }}
{{ create_delete_triggers(relation, 'set revoked_at instead') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'api_keys_key_hash_key': 'The key of a request, looked up by the gateway.',
    'api_keys_user_id_idx': 'Keys of one user; foreign key to users.',
    'api_keys_team_id_idx': 'Keys of one team; foreign key to teams.',
    'api_keys_created_by_idx': 'Keys somebody made for others; foreign key to users.',
    'api_keys_key_prefix_idx': 'Whose key is it: a leaked or reported key is known by its first characters.',
    'api_keys_expires_at_idx': 'Keys that expire soon.',
    'api_keys_scopes_idx': 'Which keys may do something: scopes @> {"metrics": ["write"]}.',
}) }}
{% endmacro %}
