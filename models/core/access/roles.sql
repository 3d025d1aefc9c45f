-- one row per role; the rows are the system roles, kept equal to the seed, found by slug
-- depends_on: {{ ref('audit_logs') }}
{{ config(
    pre_hook="{{ ensure_object(this, create_core_roles(this)) }}",
    conflict_key=['slug'],
    update_columns=['name', 'description', 'parent_role_id', 'permissions'],
    conflict_where='existing.is_system_role',
) }}
with system_roles as (
    select
        coalesce(known.id, seed.id) as id,
        seed.slug,
        seed.name,
        seed.description,
        seed.parent_slug,
        seed.permissions
    from {{ ref('system_roles') }} as seed
    left join {{ this }} as known on known.slug = seed.slug
)

select
    system_roles.id,
    system_roles.slug,
    system_roles.name,
    system_roles.description,
    parents.id as parent_role_id,
    system_roles.permissions,
    true as is_system_role
from system_roles
left join system_roles as parents on parents.slug = system_roles.parent_slug
