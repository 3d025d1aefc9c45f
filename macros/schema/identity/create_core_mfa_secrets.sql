{% macro create_core_mfa_secrets(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint mfa_secrets_pkey primary key,
    user_id uuid not null constraint mfa_secrets_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    kind text not null default 'totp' constraint mfa_secrets_kind_check check (kind in ('totp')),
    -- encrypted by the application: nonce, at least 16 bytes and a tag; clear base32 and otpauth addresses are refused
    secret_ciphertext bytea not null constraint mfa_secrets_secret_ciphertext_check check (
        octet_length(secret_ciphertext) between 44 and 4096
        and encode(secret_ciphertext, 'escape') !~ '^([A-Za-z2-7 =-]+|otpauth:.*)$'
    ),
    encryption_key_id text not null constraint mfa_secrets_encryption_key_id_check
        check (internal.validate_text('mfa_secrets.encryption_key_id', encryption_key_id, 200)),
    backup_code_hashes bytea[] not null default '{}' constraint mfa_secrets_backup_code_hashes_check
        check (internal.are_sha256(backup_code_hashes) and cardinality(backup_code_hashes) <= 100),
    confirmed_at timestamptz constraint mfa_secrets_confirmed_at_check check (isfinite(confirmed_at)),
    last_used_at timestamptz constraint mfa_secrets_last_used_at_check check (isfinite(last_used_at)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_used_step bigint constraint mfa_secrets_last_used_step_check check (last_used_step >= 0),
    constraint mfa_secrets_user_id_kind_key unique (user_id, kind)
);
create index if not exists mfa_secrets_encryption_key_id_idx on {{ relation }} (encryption_key_id);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'mfa_secrets_user_id_kind_key': 'One secret of a kind per user; the second factor at login.',
    'mfa_secrets_encryption_key_id_idx': 'Rotation of a key: which secrets are still encrypted with it.',
}) }}
{% endmacro %}
