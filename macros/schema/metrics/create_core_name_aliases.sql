{# Rules of names that the users of this warehouse add; they are asked before those of the seeds. #}
{% macro create_core_name_aliases(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint name_aliases_pkey primary key,
    kind text not null constraint name_aliases_kind_check check (kind in ('provider', 'model')),
    provider text not null default '*' constraint name_aliases_provider_check
        check (internal.validate_text('name_aliases.provider', provider, 200)),
    match text not null default 'exact' constraint name_aliases_match_check check (match in ('exact', 'prefix', 'pattern')),
    said text not null constraint name_aliases_said_check check (internal.validate_text('name_aliases.said', said, 500)),
    canonical text not null constraint name_aliases_canonical_check
        check (internal.validate_text('name_aliases.canonical', canonical, 500)),
    priority integer not null default 100,
    note text constraint name_aliases_note_check check (internal.validate_text('name_aliases.note', note, 2000)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint name_aliases_kind_provider_match_said_key unique (kind, provider, match, said),
    -- the operator raises an error for a pattern that it can't read
    constraint name_aliases_pattern_check check (match <> 'pattern' or ('' ~ said) is not null),
    constraint name_aliases_kind_provider_check check (kind = 'model' or provider = '*')
);
{{ create_updated_at_trigger(relation) }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'name_aliases_kind_provider_match_said_key': 'One rule for a spelling.',
}) }}
{% endmacro %}
