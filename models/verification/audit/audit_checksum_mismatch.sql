-- one row per entry of the audit trail that was changed behind its triggers
{% set newest = "now() - interval '" ~ var("verified_audit_window") ~ "'" -%}
with altered as (
    select id, recorded_at, action
    from {{ ref('altered_entries') }}
    where recorded_at >= {{ newest }}
        or recorded_at = '-infinity'
    union all
    -- of the older ones those that the rotation found, if they still are
    select entries.id, entries.recorded_at, entries.action
    from (select distinct unnest(altered) as id from internal.audit_checks) as found
    inner join {{ ref('altered_entries') }} as entries on entries.id = found.id
    where entries.recorded_at < {{ newest }}
)

select
    format('entry %s', id) as subject,
    format(
        'The checksum of %s, recorded on %s, is not that of its columns.',
        action,
        coalesce(to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), recorded_at::text)
    ) as message,
    'Compare the entry with a backup from before, and find out who could write past the triggers.' as fix
from altered
