-- one row per user, team, key or policy that recent usage names and nobody knows
with used as (
    select 'user' as kind, user_id as id, request_count as requests, bucket
    from {{ ref('llm_user_daily') }}
    union all
    select 'team', team_id, request_count, bucket from {{ ref('llm_spend_daily') }}
    union all
    select 'key', api_key_id, request_count, bucket from {{ ref('llm_key_daily') }}
    union all
    select 'policy', policy_id, evaluated_count, bucket from {{ ref('llm_policy_daily') }}
),

counted as (
    select kind, id, sum(requests) as requests
    from used
    where bucket >= now() - interval '{{ var("usage_window") }}' and id is not null
    group by kind, id
),

known as (
    select 'user' as kind, id from {{ ref('users') }}
    union all
    select 'team', id from {{ ref('teams') }}
    union all
    select 'key', id from {{ ref('api_keys') }}
    union all
    select 'policy', id from {{ ref('policies') }}
)

select
    format('%s %s', counted.kind, counted.id) as subject,
    format(
        '%s a %s that is not there.',
        {{ counted(
            'counted.requests',
            'request of the last ' ~ var('usage_window') ~ ' names',
            'requests of the last ' ~ var('usage_window') ~ ' name'
        ) }},
        counted.kind
    ) as message,
    format('Ask the source of the requests for its ids, or import the %s with this id.', counted.kind) as fix
from counted
left join known on known.kind = counted.kind and known.id = counted.id
where known.id is null
