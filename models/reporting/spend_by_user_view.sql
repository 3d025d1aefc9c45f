-- one row per day, user and currency, as llm_user_daily
select
    usage.day,
    usage.bucket,
    usage.user_id,
    users.email as user_email,
    usage.currency,
    {{ usage_of_rollup('usage') }}
from {{ ref('llm_user_daily') }} as usage
left join {{ ref('stg_users') }} as users on users.user_id = usage.user_id
