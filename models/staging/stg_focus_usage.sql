-- one row per day, team, tags, model, currency, source of the cost, price and unit, as FOCUS calls it
select
    date_trunc('month', usage.day::timestamp)::date as month,
    usage.bucket as starts_at,
    (usage.day + 1)::timestamp at time zone '{{ var("reporting_timezone") }}' as ends_at,
    usage.provider,
    coalesce(families.developer, usage.provider) as publisher,
    usage.team_id,
    usage.currency,
    usage.model || ': ' || lower(meters.meter) as description,
    case when meters.is_per_million then usage.quantity * 0.000001 else 1 end as quantity,
    meters.pricing_unit,
    usage.unit_price,
    usage.list_unit_price,
    coalesce(usage.quantity, usage.request_count)::numeric as consumed_quantity,
    case when usage.quantity is null then 'Requests' else meters.consumed_unit end as consumed_unit,
    concat_ws('/', usage.provider, usage.model, usage.unit) as sku_id,
    concat_ws('/', usage.provider, usage.model, usage.unit, prices.service_tier, nullif(prices.context_above, 0))
        as sku_price_id,
    meters.meter as sku_meter,
    jsonb_strip_nulls(jsonb_build_object(
        'x_ModelDeveloper', families.developer,
        'x_ModelFamily', families.family,
        'x_ModelId', usage.model,
        'x_TokenDirection', meters.direction,
        'x_CacheAction', meters.cache_action,
        'x_ServiceTier', prices.service_tier,
        'x_ContextAbove', nullif(prices.context_above, 0)::text
    )) as sku_price_details,
    usage.cost_source,
    prices.date_basis,
    usage.price_id,
    nullif(
        coalesce(named.tags, '{}')
        || jsonb_strip_nulls(jsonb_build_object('application', usage.application, 'environment', usage.environment)),
        '{}'
    ) as tags
from {{ ref('stg_usage_charges') }} as usage
inner join
    (
        values
        {% for unit, meter, pricing_unit, consumed_unit, direction, cache_action in focus_meters() -%}
        (
            '{{ unit }}', '{{ meter }}',
            '{{ pricing_unit }}', '{{ consumed_unit }}',
            nullif('{{ direction }}', ''),
            nullif('{{ cache_action }}', ''),
            {{ pricing_unit.startswith('1000000 ') | lower }}
        ){{ ',' if not loop.last }}
        {% endfor %}
    ) as meters (unit, meter, pricing_unit, consumed_unit, direction, cache_action, is_per_million)
    on meters.unit = usage.unit
left join {{ ref('applied_prices') }} as prices on prices.id = usage.price_id
left join {{ ref('stg_model_families') }} as families on families.model = usage.model
left join
    lateral (
        -- FOCUS has no lists: a value is a text, a number or true
        select
            jsonb_object_agg(
                tag.pair ->> 'key',
                case
                    when jsonb_typeof(tag.pair -> 'value') in ('array', 'object') then to_jsonb(tag.pair ->> 'value')
                    else tag.pair -> 'value'
                end
            ) as tags
        from jsonb_array_elements(usage.tags) as tag (pair)
        where tag.pair -> 'value' <> 'null'
    ) as named
    on usage.tags <> '[]'
