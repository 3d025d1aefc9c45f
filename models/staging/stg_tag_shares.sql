-- one row per day, tag key, value and currency; what has no value of the key is a row of its own
with keyed as (
    select
        usage.bucket,
        usage.day,
        keys.tag_key,
        usage.currency,
        jsonb_path_query_array(usage.tags, keys.path)
        || coalesce(jsonb_path_query_array(usage.tags, keys.flat_path), '[]') as said,
        sum(usage.request_count)::bigint as requests,
        sum(usage.cost_amount) as cost,
        sum(usage.unpriced_request_count)::bigint as unpriced_requests
    from {{ ref('llm_tag_daily') }} as usage
    cross join (values {{ values_of_tag() }}) as keys (tag_key, path, flat_path)
    group by 1, 2, 3, 4, 5
),

-- each value once, in the order they were given
several as (
    select
        keyed.*,
        named.tag_values,
        case
            when '{{ var("tag_allocation") }}' = 'split'
                then internal.split_amount(keyed.cost, array_fill(1::numeric, array[cardinality(named.tag_values)]))
        end as shares
    from keyed
    cross join
        lateral (
            select array_agg(given.tag_value order by given.place) as tag_values
            from (
                select part.element #>> '{}' as tag_value, min(part.place) as place
                from jsonb_array_elements(keyed.said) with ordinality as part (element, place)
                group by 1
            ) as given
        ) as named
    where jsonb_array_length(keyed.said) > 1
)

select
    bucket,
    day,
    tag_key,
    said ->> 0 as tag_value,
    currency,
    requests,
    requests as carrying_requests,
    cost,
    unpriced_requests
from keyed
where jsonb_array_length(said) <= 1
union all
select
    several.bucket,
    several.day,
    several.tag_key,
    value.tag_value,
    several.currency,
    case when value.place = 1 then several.requests else 0 end,
    several.requests,
    case
        when several.shares is not null then several.shares[value.place]
        when value.place = 1 then several.cost
        when several.cost is not null then 0
    end,
    case when value.place = 1 then several.unpriced_requests else 0 end
from several
cross join lateral unnest(several.tag_values) with ordinality as value (tag_value, place)
