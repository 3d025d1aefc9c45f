-- one row per account that is asked for a second factor it does not have
select
    users.email as subject,
    'Login asks for a second factor, and there is no confirmed one.' as message,
    'Have the person set one up by the recovery procedure, or set mfa_enabled to false.' as fix
from {{ ref('users') }} as users
where users.mfa_enabled
    and users.status <> 'deactivated'
    and not exists (
        select from {{ ref('mfa_secrets') }} as secrets
        where secrets.user_id = users.id and secrets.confirmed_at is not null
    )
