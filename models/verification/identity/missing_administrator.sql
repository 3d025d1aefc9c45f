-- one row per database with people or usage in which nobody may administer
select
    'super-admin' as subject,
    'No active account holds the role super-admin everywhere.' as message,
    'Run `governance build`, which makes the first account if it is not there, or grant the role.' as fix
where (exists (select from {{ ref('users') }}) or exists (select from {{ ref('llm_metrics') }}))
    and not exists (
        select from {{ ref('user_roles') }} as grants
        inner join {{ ref('users') }} as users on users.id = grants.user_id
        inner join {{ ref('roles') }} as roles on roles.id = grants.role_id
        where users.status = 'active'
            and roles.slug = 'super-admin'
            and grants.team_id is null
            and {{ is_current('grants.granted_at', ['grants.expires_at', 'grants.revoked_at']) }}
    )
