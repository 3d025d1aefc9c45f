-- one row per reference to a personal value that is gone, in an entry of the trail; each is looked up: ask for a span
select
    entries.id,
    entries.recorded_at,
    entries.action,
    named.reference
from {{ ref('audit_logs') }} as entries
cross join
    lateral (
        -- a regular expression that looks for all of them takes thirty times as long
        select distinct decode(left(parts.part, 64), 'hex') as reference
        from
            string_to_table(concat_ws(' ', to_jsonb(entries.actor_label), entries.before, entries.after), '"personal:')
            with ordinality as parts (part, number)
        where parts.number > 1 and parts.part ~ '^[0-9a-f]{64}"'
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
