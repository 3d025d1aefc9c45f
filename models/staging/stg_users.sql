-- one row per account, without its password hash
select
    id as user_id,
    email,
    status,
    last_login_at
from {{ ref('users') }}
