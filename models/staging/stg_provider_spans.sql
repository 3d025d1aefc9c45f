-- one row per provider, source of its costs and span of days of its zone that it says one sum of
-- a month's line and those of its days are one span, for requests can't be told apart by lines
select
    source,
    provider,
    zone,
    min(first_day) as first_day,
    max(end_day) as end_day
from (
    select
        *,
        count(*) filter (where is_later) over (
            partition by source, provider, zone order by first_day, end_day rows unbounded preceding
        ) as place
    from (
        select
            source,
            provider,
            zone,
            first_day,
            end_day,
            first_day >= max(end_day) over (
                partition by source, provider, zone
                order by first_day, end_day rows between unbounded preceding and 1 preceding
            ) as is_later
        from (
            select distinct source, provider, zone, first_day, end_day
            from {{ ref('stg_provider_charges') }}
        ) as charged
    ) as starts
) as numbered
group by source, provider, zone, place
