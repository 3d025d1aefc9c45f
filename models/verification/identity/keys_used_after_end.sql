-- one row per key that worked after it had expired or was revoked
with ended as (
    select
        id,
        name,
        key_prefix,
        last_used_at,
        least(expires_at, revoked_at) as ended_at
    from {{ ref('api_keys') }}
    where least(expires_at, revoked_at) <= now()
),

used as (
    select
        ended.id,
        sum(hours.success_count) as requests
    from ended
    inner join {{ ref('llm_key_hourly') }} as hours on hours.api_key_id = ended.id
    where hours.bucket >= ended.ended_at
        and hours.bucket >= now() - interval '{{ var("usage_window") }}'
    group by ended.id
)

select
    format('key %s (%s)', ended.key_prefix, ended.name) as subject,
    format(
        'It ended on %s and worked after that, for %s at least.',
        to_char(ended.ended_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        {{ counted('coalesce(used.requests, 0)', 'request', 'requests') }}
    ) as message,
    'Make the gateway refuse it: its cache of keys, or its clock, is wrong.' as fix
from ended
left join used on used.id = ended.id
where used.requests > 0
    or ended.last_used_at > ended.ended_at
