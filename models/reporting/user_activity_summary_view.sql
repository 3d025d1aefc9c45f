-- one row per account, deactivated ones too
{%- set first_day = {1: start_of_local('day'), 7: start_of_local('day', -6), 30: start_of_local('day', -29)} %}
{%- set tomorrow = start_of_local('day', 1) %}
with usage as (
    select
        user_id,
        {%- for days in [1, 7, 30] %}
        coalesce(sum(request_count) filter (where bucket >= {{ first_day[days] }}), 0)::bigint as requests_{{ days }}d,
        {%- endfor %}
        coalesce(sum(total_tokens) filter (where bucket >= {{ first_day[30] }}), 0)::bigint as tokens_30d,
        {%- for days in [1, 7, 30] %}
        {%- set in_default = "bucket >= " ~ first_day[days] ~ " and currency = '" ~ var('default_currency') ~ "'" %}
        {{ spent_where('cost_amount', in_default) }} as cost_{{ days }}d,
        {%- endfor %}
        bool_or(currency <> '{{ var("default_currency") }}') filter (where bucket >= {{ first_day[30] }}) as other_currencies,
        coalesce(sum(unpriced_request_count) filter (where bucket >= {{ first_day[30] }}), 0)::bigint as unpriced_requests_30d,
        max(last_request_at) as last_request_at
    from {{ ref('llm_user_daily') }}
    where bucket < {{ tomorrow }}
    group by user_id
),

models_used as (
    select user_id, count(distinct (provider, model)) as distinct_models_30d
    from {{ ref('llm_metrics_daily') }}
    where bucket >= {{ first_day[30] }} and bucket < {{ tomorrow }}
    group by user_id
),

roles_held as (
    select grants.user_id, array_agg(distinct roles.name order by roles.name) as role_names
    from {{ ref('stg_live_grants') }} as grants
    inner join {{ ref('roles') }} as roles on roles.id = grants.role_id
    group by grants.user_id
),

teams_joined as (
    select members.user_id, array_agg(teams.name order by teams.name) as team_names
    from {{ ref('stg_live_memberships') }} as members
    inner join {{ ref('teams') }} as teams on teams.id = members.team_id
    group by members.user_id
),

live_sessions as (
    select user_id, count(*) as active_sessions from {{ ref('stg_live_sessions') }} group by user_id
),

live_api_keys as (
    select user_id, count(*) as active_api_keys from {{ ref('stg_live_api_keys') }} group by user_id
)

select
    users.user_id,
    users.email,
    users.status,
    coalesce(roles_held.role_names, '{}') as role_names,
    coalesce(teams_joined.team_names, '{}') as team_names,
    users.last_login_at,
    coalesce(live_sessions.active_sessions, 0) as active_sessions,
    coalesce(live_api_keys.active_api_keys, 0) as active_api_keys,
    coalesce(usage.requests_1d, 0) as requests_1d,
    coalesce(usage.requests_7d, 0) as requests_7d,
    coalesce(usage.requests_30d, 0) as requests_30d,
    coalesce(usage.tokens_30d, 0) as tokens_30d,
    {%- for days in [1, 7, 30] %}
    case when usage.user_id is null then 0 else usage.cost_{{ days }}d end as cost_{{ days }}d,
    {%- endfor %}
    coalesce(usage.other_currencies, false) as other_currencies,
    coalesce(models_used.distinct_models_30d, 0) as distinct_models_30d,
    usage.last_request_at,
    -- whole local days since the last login or request; null = never seen
    ({{ local_day(reporting_now()) }} - {{ local_day('greatest(users.last_login_at, usage.last_request_at)') }})::bigint as dormant_days,
    coalesce(usage.unpriced_requests_30d, 0) as unpriced_requests_30d
from {{ ref('stg_users') }} as users
left join usage on usage.user_id = users.user_id
left join models_used on models_used.user_id = users.user_id
left join roles_held on roles_held.user_id = users.user_id
left join teams_joined on teams_joined.user_id = users.user_id
left join live_sessions on live_sessions.user_id = users.user_id
left join live_api_keys on live_api_keys.user_id = users.user_id
