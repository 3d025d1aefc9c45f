{% macro create_core_users(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint users_pkey primary key,
    email text not null constraint users_email_check
        check (email ~ '^[^@[:space:]]+@[^@[:space:].]+([.][^@[:space:].]+)+$' and length(email) <= 254),
    display_name text not null constraint users_display_name_check
        check (internal.validate_text('users.display_name', display_name, 200)),
    -- bcrypt with a cost of at least 12
    password_hash text constraint users_password_hash_check
        check (password_hash ~ '^[$]2[aby][$](1[2-9]|2[0-9]|3[01])[$][./A-Za-z0-9]{53}$'),
    status text not null default 'invited' constraint users_status_check
        check (status in ('invited', 'active', 'suspended', 'deactivated')),
    must_change_password boolean not null default false,
    mfa_enabled boolean not null default false,
    failed_login_count integer not null default 0 constraint users_failed_login_count_check check (failed_login_count >= 0),
    -- infinity: until somebody unlocks it
    locked_until timestamptz constraint users_locked_until_check check (locked_until > '-infinity'),
    last_login_at timestamptz constraint users_last_login_at_check check (isfinite(last_login_at)),
    password_changed_at timestamptz constraint users_password_changed_at_check check (isfinite(password_changed_at)),
    metadata jsonb not null default '{}' constraint users_metadata_check 
        check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536),
    created_at timestamptz not null default now() constraint users_created_at_check check (isfinite(created_at)),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz constraint users_deleted_at_check check (isfinite(deleted_at)),
    erased_at timestamptz constraint users_erased_at_check check (isfinite(erased_at)),
    constraint users_email_look_check check (internal.validate_email('users.email', email)),
    constraint users_deleted_at_status_check check (deleted_at is null or status = 'deactivated'),
    constraint users_erased_at_deleted_at_check check (erased_at is null or deleted_at is not null and password_hash is null)
);
create unique index if not exists users_email_key on {{ relation }} (lower(email));
create index if not exists users_search_idx on {{ relation }} using gin (email gin_trgm_ops, display_name gin_trgm_ops);
create index if not exists users_metadata_idx on {{ relation }} using gin (metadata jsonb_path_ops);
create index if not exists users_status_idx on {{ relation }} (status);
create index if not exists users_last_login_at_idx on {{ relation }} (last_login_at);
{{ create_updated_at_trigger(relation) }}
{{ create_delete_triggers(relation, 'set status to deactivated, and deleted_at, instead') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'users_email_key': 'One account per address, whatever its case; login by lower(email).',
    'users_search_idx': 'Search for a part of a name or address: email ilike %part% or display_name ilike %part%.',
    'users_metadata_idx': 'Accounts by an attribute of the directory: metadata @> {"department": "Finance"}.',
    'users_status_idx': 'Accounts to look after: invited, suspended or deactivated.',
    'users_last_login_at_idx': 'Dormant accounts: last login before a day.',
}) }}
{% endmacro %}
