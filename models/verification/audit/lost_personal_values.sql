-- one row per personal value of the audit trail that was altered, and per entry that refers to one that was deleted
{% set newest = "now() - interval '" ~ var("verified_audit_window") ~ "'" -%}
with deleted as (
    select id, recorded_at, action
    from {{ ref('lost_references') }}
    where recorded_at >= {{ newest }}
    union
    -- of the older ones those that the rotation found, if they still are
    select entries.id, entries.recorded_at, entries.action
    from (select distinct unnest(altered) as id from internal.audit_checks) as found
    inner join {{ ref('lost_references') }} as entries on entries.id = found.id
    where entries.recorded_at < {{ newest }}
)

select
    format('value %s', encode(reference, 'hex')) as subject,
    format(
        'What stands for %s of user %s in the audit trail was altered, so entries that refer to it read [altered].',
        field, person_id
    ) as message,
    'Take the row of internal.personal_values from a backup, and find out who could write to it.' as fix
from internal.personal_values
where reference <> sha256(salt || convert_to(content, 'UTF8'))
union all
select
    format('entry %s', id),
    format(
        'An entry of %s, recorded on %s, refers to a personal value that is gone, and no erasure deleted it.',
        action,
        to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
    ),
    'Take the missing rows of internal.personal_values from a backup, and find out who could write to it.'
from deleted
