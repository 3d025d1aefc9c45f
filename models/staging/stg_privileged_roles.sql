-- one row per privileged role: those that the var names, and those that inherit from one
with recursive privileged (role_id, level) as (
    select id, 1
    from {{ ref('roles') }}
    where slug = any(string_to_array('{{ var("privileged_roles") | join(",") }}', ','))
    union all
    -- a role has what its parent has
    select roles.id, privileged.level + 1
    from privileged
    inner join {{ ref('roles') }} as roles on roles.parent_role_id = privileged.role_id
    where privileged.level < 10
)

select distinct role_id from privileged
