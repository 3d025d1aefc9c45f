-- one row per account, deactivated ones too
{%- set first = {} %}
{%- for n in [1, 7, 30] %}{% do first.update({n: scalar_subquery(local_period_start('day', 1 - n))}) %}{% endfor %}
{%- set default_currency = "'" ~ var('default_currency') ~ "'" %}
with usage as (
    select
        user_id,
        {%- for days in first %}
        {%- set in_window = "bucket >= " ~ first[days] %}
        sum(request_count) filter (where {{ in_window }})::bigint as requests_{{ days }}d,
        {{ sum_cost_where('cost_amount', in_window ~ " and currency = " ~ default_currency) }} as cost_{{ days }}d,
        {%- endfor %}
        sum(total_tokens) filter (where bucket >= {{ first[30] }})::bigint as tokens_30d,
        sum(unpriced_request_count) filter (where bucket >= {{ first[30] }})::bigint as unpriced_requests_30d,
        bool_or(bucket >= {{ first[30] }} and currency <> {{ default_currency }}) as other_currencies,
        max(last_request_at) as last_request_at
    from {{ ref('llm_user_daily') }}
    where bucket < {{ local_period_start('day', 1) }} group by user_id
),

models_used as (
    select
        used.user_id,
        count(distinct coalesce(names.canonical_name, row(used.provider, used.model)::text)) as distinct_models_30d
    from (
        select distinct user_id, provider, model from {{ ref('llm_metrics_daily') }}
        where bucket >= {{ local_period_start('day', -29) }} and bucket < {{ local_period_start('day', 1) }}
    ) as used
    left join {{ ref('stg_model_names') }} as names on names.provider = used.provider and names.model = used.model
    group by used.user_id
),

roles_held as (
    select user_id, array_agg(distinct role_name order by role_name) as role_names
    from {{ ref('stg_live_grants') }} group by user_id
),

teams_joined as (
    select user_id, array_agg(team_name order by team_name) as team_names
    from {{ ref('stg_live_memberships') }} group by user_id
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
    {%- for days in first %}
    coalesce(usage.requests_{{ days }}d, 0) as requests_{{ days }}d,
    {%- endfor %}
    coalesce(usage.tokens_30d, 0) as tokens_30d,
    {%- for days in first %}
    case when usage.user_id is null then 0 else usage.cost_{{ days }}d end as cost_{{ days }}d,
    {%- endfor %}
    coalesce(usage.other_currencies, false) as other_currencies,
    coalesce(models_used.distinct_models_30d, 0) as distinct_models_30d,
    usage.last_request_at,
    (
        {{ local_day(reporting_now()) }} - {{ local_day('greatest(users.last_login_at, usage.last_request_at)') }}
    )::bigint as dormant_days,
    coalesce(usage.unpriced_requests_30d, 0) as unpriced_requests_30d
from {{ ref('stg_users') }} as users
left join usage on usage.user_id = users.user_id
left join models_used on models_used.user_id = users.user_id
left join roles_held on roles_held.user_id = users.user_id
left join teams_joined on teams_joined.user_id = users.user_id
left join live_sessions on live_sessions.user_id = users.user_id
left join live_api_keys on live_api_keys.user_id = users.user_id
