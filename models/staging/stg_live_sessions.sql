-- one row per session that can still be used, without its token hash
select
    id as session_id,
    user_id,
    ip_address,
    user_agent,
    mfa_verified,
    created_at,
    last_seen_at,
    least(expires_at, revoked_at) as expires_at
from {{ ref('sessions') }}
where {{ is_current('created_at', ['expires_at', 'revoked_at']) }}
    -- said again in the form an index serves: few of all sessions are live
    and expires_at > {{ reporting_now() }}
