-- one row per provider, source of its costs, span of days of its zone and currency: what requests cost and what it says
with reported as (
    select source, provider, zone, min(first_day) as first_day, max(end_day) as end_day
    from {{ ref('stg_provider_spans') }}
    group by 1, 2, 3
),

usage as (
    select
        zones.provider,
        zones.zone,
        (hours.bucket at time zone zones.zone)::date as day,
        hours.currency,
        sum(hours.request_count)::bigint as requests,
        sum(hours.unpriced_request_count)::bigint as unpriced_requests,
        sum(hours.cost_amount) as cost
    from {{ ref('llm_model_hourly') }} as hours
    left join {{ ref('stg_model_names') }} as names on names.provider = hours.provider and names.model = hours.model
    inner join (
        select provider, zone, min(first_day) as first_day, max(end_day) as end_day
        from reported
        group by 1, 2
    ) as zones on zones.provider = coalesce(names.canonical_provider, hours.provider)
    where hours.bucket >= (select min(reported.first_day) - 2 from reported)
        and hours.bucket < (select max(reported.end_day) + 2 from reported)
        and (hours.bucket at time zone zones.zone)::date >= zones.first_day
        and (hours.bucket at time zone zones.zone)::date < zones.end_day
    group by 1, 2, 3, 4
),

spans as (
    select source, provider, zone, first_day, end_day
    from {{ ref('stg_provider_spans') }}
    union all
    -- days between its reports of which it says nothing
    select distinct reported.source, reported.provider, reported.zone, usage.day, usage.day + 1
    from reported
    inner join usage on usage.provider = reported.provider and usage.zone = reported.zone
    where usage.day >= reported.first_day and usage.day < reported.end_day
        and not exists (
            select from {{ ref('stg_provider_spans') }} as said
            where said.source = reported.source and said.provider = reported.provider and said.zone = reported.zone
                and usage.day >= said.first_day and usage.day < said.end_day
        )
),

both_sides as (
    select
        provider, zone, null as source, day as first_day, currency, requests, unpriced_requests, cost as our_cost,
        null as account, null::numeric as their_cost, null::boolean as is_adjustment, null::timestamptz as loaded_at,
        null::integer as decimals
    from usage
    union all
    select
        provider, zone, source, first_day, currency, null, null, null, account, cost_amount, is_adjustment, loaded_at,
        scale(cost_amount)
    from {{ ref('stg_provider_charges') }}
)

select
    spans.source, spans.provider, spans.zone, spans.first_day, spans.end_day, both_sides.currency,
    sum(both_sides.requests)::bigint as requests,
    sum(both_sides.unpriced_requests)::bigint as unpriced_requests,
    sum(both_sides.our_cost) as our_cost,
    string_agg(distinct nullif(both_sides.account, ''), ', ') as account,
    sum(both_sides.their_cost) as their_cost,
    sum(both_sides.their_cost) filter (where both_sides.is_adjustment) as their_adjustment,
    -- a half of the last decimal that it writes, for each line
    count(both_sides.their_cost) * 0.5 * power(10::numeric, -greatest(max(both_sides.decimals), 2)) as rounding,
    max(both_sides.loaded_at) as reported_at
from spans
inner join both_sides on both_sides.provider = spans.provider and both_sides.zone = spans.zone
where both_sides.first_day >= spans.first_day and both_sides.first_day < spans.end_day
    and (both_sides.source is null or both_sides.source = spans.source)
group by 1, 2, 3, 4, 5, 6
