-- one row per policy whose versions have different types
select
    format('policy %s', slug) as subject,
    format('Its versions are of the types %s.', string_agg(distinct policy_type, ', ' order by policy_type)) as message,
    'Give the version of the other type a slug of its own; it inherits assignments that were meant for another policy.'
        as fix
from {{ ref('policies') }}
group by slug
having count(distinct policy_type) > 1
