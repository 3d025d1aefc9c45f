-- one row per account whose first password is old
select
    email as subject,
    format(
        'The password that somebody else gave on %s was never changed.',
        to_char(coalesce(password_changed_at, created_at) at time zone 'UTC', 'YYYY-MM-DD')
    ) as message,
    'Have the person sign in and change it, or suspend the account.' as fix
from {{ ref('users') }}
where must_change_password
    and status = 'active'
    and coalesce(password_changed_at, created_at) < now() - interval '{{ var("first_password_max_age") }}'
