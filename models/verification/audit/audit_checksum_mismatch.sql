-- one row per entry of the audit trail that was changed behind its triggers
select
    format('entry %s', id) as subject,
    format(
        'The checksum of %s, recorded on %s, is not that of its columns.',
        action,
        coalesce(to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), recorded_at::text)
    ) as message,
    'Compare the entry with a backup from before, and find out who could write past the triggers.' as fix
from {{ ref('audit_logs') }}
where recorded_at >= now() - interval '{{ var("verified_audit_window") }}'
    and checksum is distinct from case
        -- there is no checksum of an endless time: it can't have been written by the trigger
        when isfinite(recorded_at) and isfinite(occurred_at) and checksum_version = 1
            then core.generate_audit_checksum(
                    checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id,
                    actor_label, action, resource_type, resource_id, before, after, outcome, ip_address, user_agent,
                    request_id, metadata
                )
    end
