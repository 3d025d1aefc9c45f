-- one row per API key that can still be used, without its hash
select
    id as api_key_id,
    user_id
from {{ ref('api_keys') }}
where {{ is_current('created_at', ['expires_at', 'revoked_at']) }}
