{% macro create_core_policies(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint policies_pkey primary key,
    name text not null constraint policies_name_check check (internal.validate_text('policies.name', name, 200)),
    slug text not null constraint policies_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    description text constraint policies_description_check
        check (internal.validate_text('policies.description', description, 2000, true)),
    policy_type text not null constraint policies_policy_type_check check (
        policy_type in ('cost_limit', 'rate_limit', 'content_filter', 'security', 'model_allowlist', 'data_residency')
    ),
    rules jsonb not null,
    enforcement text not null default 'warn' constraint policies_enforcement_check check (enforcement in ('block', 'warn', 'log')),
    priority integer not null default 100 constraint policies_priority_check check (priority >= 0),
    version integer not null default 1 constraint policies_version_check check (version >= 1),
    is_active boolean not null default false,
    published_at timestamptz constraint policies_published_at_check check (isfinite(published_at)),
    effective_from timestamptz not null default now() constraint policies_effective_from_check check (isfinite(effective_from)),
    effective_to timestamptz,
    created_by uuid constraint policies_created_by_fkey references {{ ref('users') }} (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint policies_slug_version_key unique (slug, version),
    constraint policies_effective_to_check check (effective_to >= effective_from and isfinite(effective_to)),
    constraint policies_rules_check check (internal.validate_policy_rules(policy_type, rules))
);
create unique index if not exists policies_slug_active_key on {{ relation }} (slug) where is_active;
create index if not exists policies_policy_type_priority_idx on {{ relation }} (policy_type, priority);
create index if not exists policies_created_by_idx on {{ relation }} (created_by);
create index if not exists policies_rules_idx on {{ relation }} using gin (rules jsonb_path_ops);
{{ create_updated_at_trigger(relation) }}
create or replace trigger policies_publish before insert or update of is_active on {{ relation }}
    for each row execute function internal.publish_policy_version();
comment on trigger policies_publish on {{ relation }} is 'A version that becomes active ends those before it where it begins.';
create or replace trigger policies_publish_assignments after insert or update of is_active on {{ relation }}
    for each row execute function internal.publish_policy_version();
comment on trigger policies_publish_assignments on {{ relation }} is 'Hands open assignments over to the version that becomes active, closes those of one that ends.';
{{ create_delete_triggers(relation, 'set is_active to false instead') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'policies_slug_version_key': 'One row per version of a policy.',
    'policies_slug_active_key': 'At most one active version per slug; the version published last.',
    'policies_policy_type_priority_idx': 'Policies of a type in the order they are evaluated.',
    'policies_created_by_idx': 'Versions somebody wrote; foreign key to users.',
    'policies_rules_idx': 'Policies by what they rule: rules @> {"currency": "EUR"}.',
}) }}
{% endmacro %}
