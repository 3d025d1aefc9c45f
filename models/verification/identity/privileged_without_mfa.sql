-- one row per account in a privileged role that signs in with a password alone
with recursive privileged as (
    select id, slug, 1 as level
    from {{ ref('roles') }}
    where slug = any(string_to_array('{{ var("privileged_roles") | join(",") }}', ','))
    union all
    -- a role has what its parent has
    select roles.id, privileged.slug, privileged.level + 1
    from privileged
    inner join {{ ref('roles') }} as roles on roles.parent_role_id = privileged.id
    where privileged.level < 10
)

select
    users.email as subject,
    format('It is %s and has no second factor.', string_agg(distinct privileged.slug, ', ' order by privileged.slug))
        as message,
    'Have the person set up a second factor, or take the role away.' as fix
from {{ ref('users') }} as users
inner join {{ ref('user_roles') }} as grants on grants.user_id = users.id
inner join privileged on privileged.id = grants.role_id
where users.status = 'active'
    and not users.mfa_enabled
    and {{ is_current('grants.granted_at', ['grants.expires_at', 'grants.revoked_at']) }}
    -- an account that is new and unused has still to set it up
    and (users.last_login_at is not null or users.created_at < now() - interval '{{ var("mfa_grace") }}')
group by users.email
