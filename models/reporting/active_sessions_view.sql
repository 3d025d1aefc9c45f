-- one row per session that can still be used
select
    sessions.session_id,
    sessions.user_id,
    users.email,
    sessions.ip_address,
    sessions.user_agent,
    sessions.mfa_verified,
    sessions.created_at,
    sessions.last_seen_at,
    sessions.expires_at,
    {{ reporting_now() }} - sessions.created_at as age,
    {{ reporting_now() }} - coalesce(sessions.last_seen_at, sessions.created_at) as idle_time,
    sessions.expires_at - {{ reporting_now() }} as expires_in,
    users.status as user_status
from {{ ref('stg_live_sessions') }} as sessions
inner join {{ ref('stg_users') }} as users on users.user_id = sessions.user_id
