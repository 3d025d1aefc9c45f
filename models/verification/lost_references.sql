-- one row per reference to a personal value that is gone, in an entry of the trail; each is looked up: ask for a span
select
    entries.id,
    entries.recorded_at,
    entries.action,
    named.reference
from {{ ref('audit_logs') }} as entries
cross join
    lateral (
        select distinct decode(found.match[1], 'hex') as reference
        from
            regexp_matches(
                concat_ws(' ', to_jsonb(entries.actor_label), entries.before, entries.after),
                '"personal:([0-9a-f]{64})"',
                'g'
            ) as found (match)
    ) as named
where not exists (select from internal.personal_values where personal_values.reference = named.reference)
    -- an erasure says which ones it deleted; its own entry refers to who did it
    and entries.action <> 'users.erase'
    and not exists (
        select
        from {{ ref('audit_logs') }} as erasures
        where erasures.action = 'users.erase'
            and (
                erasures.metadata @> jsonb_build_object('references', jsonb_build_array(encode(named.reference, 'hex')))
                -- one of an earlier release doesn't
                or (erasures.recorded_at >= entries.recorded_at and not erasures.metadata ? 'references')
            )
    )
