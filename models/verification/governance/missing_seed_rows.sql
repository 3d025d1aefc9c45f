-- one row per role, policy or team of the seeds that isn't there or, for a system role, is not as it should be
select
    format('role %s', seed.slug) as subject,
    case
        when roles.id is null then 'The system role does not exist.'
        else 'The system role has another name, parent or other permissions than the seed gives it.'
    end as message,
    'Run `governance build`, which brings the system roles to what the seed says.' as fix
from {{ ref('system_roles') }} as seed
left join {{ ref('roles') }} as roles on roles.slug = seed.slug
left join {{ ref('roles') }} as parents on parents.id = roles.parent_role_id
where roles.id is null
    or not roles.is_system_role
    or (roles.name, roles.permissions) <> (seed.name, seed.permissions)
    or parents.slug is distinct from seed.parent_slug
union all
select
    format('policy %s', seed.slug),
    'The default policy does not exist, in any version.',
    'Run `governance build`, which adds it; to do without a policy, set is_active to false.'
from {{ ref('default_policies') }} as seed
where not exists (
        select from {{ ref('policies') }} as policies
        where policies.id = seed.id or policies.slug = seed.slug
    )
union all
select
    format('team %s', seed.slug),
    'The root team does not exist.',
    'Run `governance build`, which adds it; its slug may be changed, it may not be deleted.'
from {{ ref('default_team') }} as seed
where not exists (
        select from {{ ref('teams') }} as teams
        where teams.id = seed.id or teams.slug = seed.slug
    )
