-- one row per alert that was ever raised
select
    alerts.id as alert_id,
    alerts.severity,
    alerts.alert_type,
    alerts.title,
    alerts.status,
    alerts.created_at,
    alerts.acknowledged_at,
    takers.email as acknowledged_by,
    alerts.resolved_at,
    solvers.email as resolved_by
from {{ ref('alerts') }} as alerts
left join {{ ref('users') }} as takers on takers.id = alerts.acknowledged_by
left join {{ ref('users') }} as solvers on solvers.id = alerts.resolved_by
