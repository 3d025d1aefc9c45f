-- one row per exception that excuses nothing any more
with known_rules as (
    select rule from {{ ref('rules') }}
    union all
    -- asked by `governance verify --deep` and `--probe`, which have no view
    select unnest(array['deep_drift', 'probe']) as rule
)

select
    format('%s: %s', exceptions.rule, exceptions.subject) as subject,
    case
        when rules.rule is null then format('There is no rule %s.', exceptions.rule)
        when coalesce(btrim(exceptions.reason), '') = '' then 'The exception has no reason, so it does not count.'
        when exceptions.expires_on is null then 'The exception does not expire, so it does not count.'
        else format('The exception expired on %s, so the violation counts again.', exceptions.expires_on)
    end as message,
    'Resolve the violation and take its row out of seeds/verification_exceptions.csv, or give a reason and a later day.'
        as fix
from {{ ref('verification_exceptions') }} as exceptions
left join known_rules as rules on rules.rule = exceptions.rule
left join {{ ref('exceptions_in_force') }} as in_force
    on in_force.rule = exceptions.rule and in_force.subject is not distinct from exceptions.subject
where rules.rule is null
    or in_force.rule is null
