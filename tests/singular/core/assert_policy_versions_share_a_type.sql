-- another type under the same slug is another policy, and would inherit the assignments of this one
select slug
from {{ ref('policies') }}
group by slug
having count(distinct policy_type) > 1
