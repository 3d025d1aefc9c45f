-- an account that asks for a second factor has one, or nobody can log in
{{ config(meta={'dagster': {'ref': {'name': 'users'}}}) }}
select users.id
from {{ ref('users') }} as users
where users.mfa_enabled
    and not exists (
        select from {{ ref('mfa_secrets') }} as mfa_secrets
        where mfa_secrets.user_id = users.id and mfa_secrets.confirmed_at is not null
    )
