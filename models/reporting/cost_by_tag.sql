-- one row per day, tag key, value and currency; what has no value of the key is a row of its own
select
    day,
    bucket,
    tag_key,
    tag_value,
    currency,
    sum(requests)::bigint as requests,
    sum(carrying_requests)::bigint as carrying_requests,
    sum(cost) as cost,
    sum(unpriced_requests)::bigint as unpriced_requests
from {{ ref('stg_tag_shares') }}
group by 1, 2, 3, 4, 5
