{% macro create_core_sessions(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint sessions_pkey primary key,
    user_id uuid not null constraint sessions_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    token_hash bytea not null constraint sessions_token_hash_check check (octet_length(token_hash) = 32),
    ip_address inet,
    -- what the client sent may be empty
    user_agent text constraint sessions_user_agent_check
        check (internal.validate_text('sessions.user_agent', nullif(user_agent, ''), 2000)),
    mfa_verified boolean not null default false,
    created_at timestamptz not null default now() constraint sessions_created_at_check check (isfinite(created_at)),
    last_seen_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_reason text,
    updated_at timestamptz not null default now(),
    constraint sessions_token_hash_key unique (token_hash),
    constraint sessions_last_seen_at_check check (last_seen_at >= created_at and isfinite(last_seen_at)),
    constraint sessions_expires_at_check check (expires_at > created_at and isfinite(expires_at)),
    constraint sessions_revoked_at_check check (revoked_at >= created_at and isfinite(revoked_at)),
    constraint sessions_revoked_reason_check check (
        revoked_reason is null
        or revoked_at is not null and internal.validate_text('sessions.revoked_reason', revoked_reason, 500)
    )
);
create index if not exists sessions_user_id_expires_at_idx on {{ relation }} (user_id, expires_at);
create index if not exists sessions_expires_at_idx on {{ relation }} (expires_at);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'sessions_token_hash_key': 'The session of a token, looked up with each request.',
    'sessions_user_id_expires_at_idx': 'Live sessions of one user; foreign key to users.',
    'sessions_expires_at_idx': 'Live sessions of everyone; clearing of expired ones.',
}) }}
{% endmacro %}
