-- one row per alert that is open for too long
select
    format('%s %s', alert_type, id) as subject,
    format(
        'The alert "%s" is %s, of severity %s, since %s.',
        title,
        status,
        severity,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD')
    ) as message,
    'Resolve it with what was done, or suppress it if it means nothing.' as fix
from {{ ref('alerts') }}
where status in ('open', 'acknowledged')
    and created_at < now() - case severity
        when 'critical' then interval '{{ var("critical_alerts_open") }}'
        when 'high' then interval '{{ var("high_alerts_open") }}'
        when 'medium' then interval '{{ var("medium_alerts_open") }}'
    end
