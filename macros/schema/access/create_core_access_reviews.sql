{# Ids alone: a decision is evidence, and the names of people are where they can be changed or erased. #}
{% macro create_core_access_reviews(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint access_reviews_pkey primary key,
    user_role_id uuid constraint access_reviews_user_role_id_fkey references {{ ref('user_roles') }} (id) on delete restrict,
    api_key_id uuid constraint access_reviews_api_key_id_fkey references {{ ref('api_keys') }} (id) on delete restrict,
    user_id uuid constraint access_reviews_user_id_fkey references {{ ref('users') }} (id) on delete restrict,
    decision text not null constraint access_reviews_decision_check check (decision in ('keep', 'revoke')),
    reviewer_id uuid not null constraint access_reviews_reviewer_id_fkey references {{ ref('users') }} (id) on delete restrict,
    decided_on date not null constraint access_reviews_decided_on_check check (isfinite(decided_on)),
    request_id text not null constraint access_reviews_request_id_check check (request_id <> ''),
    imported_at timestamptz not null default now() constraint access_reviews_imported_at_check check (isfinite(imported_at)),
    imported_by text not null default session_user,
    constraint access_reviews_item_check check (num_nonnulls(user_role_id, api_key_id) = 1),
    constraint access_reviews_grant_check check (user_role_id is null or user_id is not null),
    constraint access_reviews_reviewer_check check (reviewer_id <> user_id)
);
create unique index if not exists access_reviews_user_role_id_key
    on {{ relation }} (user_role_id, decision, reviewer_id, decided_on) where user_role_id is not null;
create unique index if not exists access_reviews_api_key_id_key
    on {{ relation }} (api_key_id, decision, reviewer_id, decided_on) where api_key_id is not null;
create index if not exists access_reviews_user_id_idx on {{ relation }} (user_id);
create index if not exists access_reviews_reviewer_id_idx on {{ relation }} (reviewer_id);
create index if not exists access_reviews_imported_at_idx on {{ relation }} (imported_at);
{{ create_rewrite_trigger(relation, [], 'a later decision is another row') }}
{{ create_delete_triggers(relation, 'a decision is evidence and stays') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'access_reviews_user_role_id_key': 'A decision about a grant is recorded once, however often its file is imported; foreign key to user_roles.',
    'access_reviews_api_key_id_key': 'A decision about a key is recorded once; foreign key to api_keys.',
    'access_reviews_user_id_idx': 'What was decided about one account; foreign key to users.',
    'access_reviews_reviewer_id_idx': 'What one reviewer decided; foreign key to users.',
    'access_reviews_imported_at_idx': 'Decisions of a period.',
}) }}
{% endmacro %}
