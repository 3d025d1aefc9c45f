-- one row per alert type and severity
select
    alert_type,
    severity,
    count(*) filter (where status = 'open') as open_count,
    count(*) filter (where status = 'acknowledged') as acknowledged_count,
    count(*) filter (where status = 'resolved') as resolved_count,
    count(*) filter (where status = 'suppressed') as suppressed_count,
    min(created_at) filter (where status = 'open') as oldest_open_at,
    avg(acknowledged_at - created_at) as mean_time_to_acknowledge,
    avg(resolved_at - created_at) as mean_time_to_resolve,
    count(*) filter (where created_at >= {{ reporting_now() }} - interval '24 hours') as created_24h,
    count(*) filter (where created_at >= {{ scalar_subquery(local_period_start('day', -6)) }}) as created_7d,
    count(*) filter (where created_at >= {{ scalar_subquery(local_period_start('day', -29)) }}) as created_30d
from {{ ref('alerts') }}
group by alert_type, severity
