-- one row per database that still keeps sessions which ended long ago
select
    'core.sessions' as subject,
    format(
        '%s kept that expired before %s.',
        {{ counted('count(*)', 'session is', 'sessions are') }},
        to_char(now() - interval '{{ var("expired_sessions_kept") }}', 'YYYY-MM-DD')
    ) as message,
    'Delete them: addresses and devices of people are personal data; the audit trail keeps who signed in.' as fix
from {{ ref('sessions') }}
where expires_at < now() - interval '{{ var("expired_sessions_kept") }}'
having count(*) > 0
