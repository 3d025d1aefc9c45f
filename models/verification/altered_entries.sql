-- one row per entry of the audit trail whose checksum is not that of its columns; each is computed, so ask for a span
select
    id,
    recorded_at,
    action
from {{ ref('audit_logs') }}
where checksum is distinct from case
        -- there is no checksum of an endless time: it can't have been written by the trigger
        when isfinite(recorded_at) and isfinite(occurred_at) and checksum_version = 1
            then core.generate_audit_checksum(
                    checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id,
                    actor_label, action, resource_type, resource_id, before, after, outcome, ip_address, user_agent,
                    request_id, metadata
                )
    end
