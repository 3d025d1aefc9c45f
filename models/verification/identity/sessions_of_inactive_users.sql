-- one row per account that may not act and has sessions that still work
select
    users.email as subject,
    format('The account is %s and has %s live sessions.', users.status, count(*)) as message,
    'Revoke its sessions, and have the application do so when it suspends or deactivates an account.' as fix
from {{ ref('sessions') }} as sessions
inner join {{ ref('users') }} as users on users.id = sessions.user_id
where sessions.expires_at > now()
    and sessions.revoked_at is null
    and users.status <> 'active'
group by users.email, users.status
