-- one row per entry of the audit trail, with whom it names
select
    entries.id,
    entries.recorded_at,
    entries.occurred_at,
    coalesce(people.email, internal.audit_text(entries.actor_label)) as actor,
    entries.actor_type,
    entries.actor_id,
    entries.db_user,
    entries.action,
    entries.resource_type,
    entries.resource_id,
    entries.outcome,
    entries.ip_address,
    entries.request_id
from {{ ref('audit_logs') }} as entries
left join {{ ref('users') }} as people on people.id = entries.actor_id
