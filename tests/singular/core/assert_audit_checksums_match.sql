-- an entry whose checksum is not that of its columns was changed behind the triggers
select id
from {{ ref('audit_logs') }}
where checksum is distinct from core.generate_audit_checksum(
        checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label, action,
        resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
    )
