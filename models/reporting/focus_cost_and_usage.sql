-- one row per charge: of usage by day, team, tags, SKU and price; of a shared cost by month and team; of an adjustment
{% set zone = var("reporting_timezone") -%}
{% set invoice = "concat_ws('/', 'provisional', charges.provider, to_char(charges.month, 'YYYY-MM')" -%}
with charges as (
    select
        month, starts_at, ends_at, 'Usage' as category, null::text as class, 'Usage-Based' as frequency, description,
        provider, publisher, team_id, currency, quantity, pricing_unit, unit_price, list_unit_price,
        quantity * unit_price as cost, quantity * list_unit_price as list_cost, consumed_quantity, consumed_unit,
        sku_id, sku_price_id, sku_meter, sku_price_details, cost_source, date_basis, price_id,
        null::uuid as origin_id, tags
    from {{ ref('stg_focus_usage') }}
    union all
    select
        parts.month, parts.month::timestamp at time zone '{{ zone }}',
        (parts.month + interval '1 month') at time zone '{{ zone }}', 'Purchase', null, 'Recurring', costs.name,
        coalesce(costs.provider, 'internal'), coalesce(costs.provider, 'internal'), parts.team_id, parts.currency,
        1, 'Charges', parts.amount as unit_price, parts.amount as list_unit_price, parts.amount as cost,
        parts.amount as list_cost, null, null, 'shared/' || costs.kind,
        'shared/' || costs.kind || '/' || costs.id, 'Shared Cost', null, null, null, null, costs.id, null
    from {{ ref('stg_shared_costs') }} as parts
    inner join {{ ref('shared_costs') }} as costs on costs.id = parts.id
    union all
    select
        month, coalesce(corrects_month, month)::timestamp at time zone '{{ zone }}',
        (coalesce(corrects_month, month) + interval '1 month') at time zone '{{ zone }}', 'Adjustment', 'Correction',
        'One-Time', reason, 'internal', 'internal', team_id, currency, null, null, null, null, amount as cost,
        amount as list_cost, null, null, null, null, null, null, null, null, null, id, null
    from (
        select id, month, corrects_month, amount, reason, team_id, currency from {{ ref('cost_adjustments') }}
        union all
        -- usage of a closed month is told as it is known now, so what is charged later is taken from it
        select id, corrects_month as booked_month, corrects_month, -amount, reason, team_id, currency
        from {{ ref('cost_adjustments') }} where kind <> 'entered'
    ) as booked
),

-- once for each team, not for each of its charges
places as materialized (
    select team_id, jsonb_strip_nulls(jsonb_build_object('team', path, 'cost_center', cost_center)) as tags
    from {{ ref('stg_team_cost_centers') }}
)

select
    trim_scale(charges.cost) as billed_cost,
    charges.provider as billing_account_id,
    null::text as billing_account_name,
    charges.currency as billing_currency,
    (charges.month + interval '1 month') at time zone '{{ zone }}' as billing_period_end,
    charges.month::timestamp at time zone '{{ zone }}' as billing_period_start,
    charges.category as charge_category, charges.class as charge_class, charges.description as charge_description,
    charges.frequency as charge_frequency,
    charges.ends_at as charge_period_end,
    charges.starts_at as charge_period_start,
    charges.consumed_quantity, charges.consumed_unit,
    trim_scale(charges.cost) as contracted_cost,
    trim_scale(charges.unit_price) as contracted_unit_price,
    trim_scale(charges.cost) as effective_cost,
    {{ invoice }}, charges.currency, charges.category, charges.class) as invoice_detail_id,
    {{ invoice }}, charges.currency) as invoice_id,
    charges.provider as invoice_issuer_name,
    trim_scale(charges.list_cost) as list_cost,
    trim_scale(charges.list_unit_price) as list_unit_price,
    case when charges.quantity is not null then 'Standard' end as pricing_category,
    trim_scale(charges.quantity) as pricing_quantity,
    charges.pricing_unit,
    charges.provider as provider_name, charges.publisher as publisher_name,
    'AI and Machine Learning' as service_category,
    charges.provider as service_name,
    'Generative AI' as service_subcategory,
    charges.sku_id, charges.sku_meter, charges.sku_price_details, charges.sku_price_id,
    charges.team_id::text as sub_account_id,
    coalesce(teams.name, charges.team_id::text) as sub_account_name,
    case when charges.tags is null then places.tags else charges.tags || coalesce(places.tags, '{}') end as tags,
    charges.cost_source as x_cost_source,
    charges.origin_id as x_origin_id,
    charges.date_basis as x_price_date_basis,
    charges.price_id as x_price_id
from charges
left join {{ ref('teams') }} as teams on teams.id = charges.team_id
left join places on places.team_id = charges.team_id
