-- one row per team and member, of the teams whose members the user who acts may read
{{ config(security_barrier=true) }}
select
    members.team_id,
    members.team_name,
    members.user_id,
    users.email,
    users.status,
    users.last_login_at
from {{ ref('stg_live_memberships') }} as members
inner join {{ ref('stg_users') }} as users on users.user_id = members.user_id
where exists (
        select 1
        from {{ ref('stg_my_permissions') }} as permissions
        where permissions.team_id = members.team_id
            and permissions.resource in ('team_members', '*')
            and permissions.action in ('read', '*')
    )
