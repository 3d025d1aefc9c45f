{% macro create_core_roles(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint roles_pkey primary key,
    slug text not null constraint roles_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    name text not null constraint roles_name_check check (internal.validate_text('roles.name', name, 200)),
    description text constraint roles_description_check check (internal.validate_text('roles.description', description, 2000, true)),
    parent_role_id uuid constraint roles_parent_role_id_fkey references {{ relation }} (id) on delete restrict,
    permissions jsonb not null default '{}' constraint roles_permissions_check check (core.validate_permissions(permissions)),
    is_system_role boolean not null default false,
    created_at timestamptz not null default now() constraint roles_created_at_check check (isfinite(created_at)),
    updated_at timestamptz not null default now(),
    constraint roles_slug_key unique (slug)
);
create index if not exists roles_parent_role_id_idx on {{ relation }} (parent_role_id);
create index if not exists roles_permissions_idx on {{ relation }} using gin (permissions jsonb_path_ops);
{{ create_updated_at_trigger(relation) }}
{{ create_hierarchy_trigger(relation, 'parent_role_id') }}
create or replace trigger roles_system_role before insert or update or delete on {{ relation }}
    for each row execute function internal.refuse_system_role_change();
comment on trigger roles_system_role on {{ relation }} is 'Refuses to delete, rename or unmake a system role, and to make one outside a build.';
create or replace trigger roles_system_role_truncate before truncate on {{ relation }}
    for each statement execute function internal.refuse_system_role_change();
comment on trigger roles_system_role_truncate on {{ relation }} is 'Refuses to empty the table, which would delete the system roles.';
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'roles_slug_key': 'The role of a slug: grants by name, seeds.',
    'roles_parent_role_id_idx': 'Roles that inherit from one; foreign key to roles.',
    'roles_permissions_idx': 'Which roles may do something: permissions @> {"users": ["delete"]}.',
}) }}
{% endmacro %}
