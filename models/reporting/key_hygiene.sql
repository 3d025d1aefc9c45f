-- one row per API key that can still be used, with what is wrong with it
{% set oldest = reporting_now() ~ " - interval '" ~ var("key_max_age") ~ "'" -%}
{% set unused = reporting_now() ~ " - interval '" ~ var("key_unused_after") ~ "'" -%}
select
    keys.id as api_key_id,
    keys.name as api_key_name,
    keys.key_prefix,
    keys.user_id,
    users.email as owner_email,
    users.status as owner_status,
    teams.name as team_name,
    keys.created_at,
    keys.expires_at,
    keys.last_used_at,
    {{ whole_days_since('keys.created_at') }} as age_days,
    {{ whole_days_since('coalesce(keys.last_used_at, keys.created_at)') }} as unused_days,
    array_remove(array[
        case when keys.expires_at is null then 'without expiry' end,
        case when keys.created_at < {{ oldest }} then 'over {{ var("key_max_age") }} old' end,
        case
            when coalesce(keys.last_used_at, keys.created_at) < {{ unused }}
                then 'unused for {{ var("key_unused_after") }}'
        end,
        case when users.user_id is null or users.status <> 'active' then 'owner is not active' end
    ], null) as issues
from {{ ref('stg_live_api_keys') }} as live
inner join {{ ref('api_keys') }} as keys on keys.id = live.api_key_id
left join {{ ref('stg_users') }} as users on users.user_id = keys.user_id
left join {{ ref('teams') }} as teams on teams.id = keys.team_id
