-- one row per key that works although its owner may not act
select
    format('key %s of %s', keys.key_prefix, users.email) as subject,
    format('The key works, and its owner is %s.', users.status) as message,
    'Revoke the key, or give it to somebody else.' as fix
from {{ ref('api_keys') }} as keys
inner join {{ ref('users') }} as users on users.id = keys.user_id
where users.status in ('suspended', 'deactivated')
    and keys.revoked_at is null
    and coalesce(keys.expires_at, 'infinity') > now()
