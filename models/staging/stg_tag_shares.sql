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
)

select
    keyed.bucket,
    keyed.day,
    keyed.tag_key,
    value.tag_value,
    keyed.currency,
    case when value.place = 1 then keyed.requests else 0 end as requests,
    keyed.requests as carrying_requests,
    case
        when value.shares is not null then value.shares[value.place]
        when value.place = 1 then keyed.cost
        when keyed.cost is not null then 0
    end as cost,
    case when value.place = 1 then keyed.unpriced_requests else 0 end as unpriced_requests
-- read once, so that a condition on the key reaches it
from keyed
cross join
    lateral (
        select keyed.said ->> 0 as tag_value, 1 as place, null::numeric[] as shares
        where jsonb_array_length(keyed.said) <= 1
        union all
        select named.tag_values[places.place], places.place, named.shares
        from (
            select
                several.tag_values,
                case
                    when '{{ var("tag_allocation") }}' = 'split'
                        then internal.split_amount(
                                keyed.cost, array_fill(1::numeric, array[cardinality(several.tag_values)])
                            )
                end as shares
            from ({{ list_tag_values('keyed.said') }}) as several
            where jsonb_array_length(keyed.said) > 1
        ) as named
        cross join lateral generate_subscripts(named.tag_values, 1) as places (place)
    ) as value
