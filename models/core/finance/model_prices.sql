-- one row per price of a token class or unit and span of time; an empty table gets the list that ships
-- depends_on: {{ ref('provider_aliases') }}, {{ ref('model_aliases') }}, {{ ref('name_aliases') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_model_prices(this)) }}", conflict_key=['id']) }}
with said as (
    select array_agg(provider) as providers, array_agg(model) as models
    from {{ ref('model_price_list') }}
    where not exists (select from {{ this }})
),

names as (
    select n.provider, n.model, n.canonical_provider as known_provider, n.canonical_model as known_model
    from said as s
    cross join lateral internal.resolve_names(s.providers, s.models) as n
),

entries as (
    -- requests find prices by the names of reports; of several entries that are one model, the one that is called so
    select distinct on (known_provider, known_model) provider, model, known_provider, known_model
    from names
    order by
        known_provider, known_model, provider <> known_provider, model <> known_model,
        provider collate "C", model collate "C"
)

select
    line.price_list,
    lower(entry.known_provider) as provider,
    entry.known_model as model,
    unit.name as unit,
    line.service_tier,
    line.context_above,
    line.region,
    line.currency,
    (unit.price #>> '{}')::numeric as unit_price,
    case line.valid_from
        when 'always' then '-infinity'
        else line.valid_from::timestamp at time zone 'UTC'
    end as valid_from,
    line.valid_to::timestamp at time zone 'UTC' as valid_to,
    line.date_basis,
    line.origin
from {{ ref('model_price_list') }} as line
inner join entries as entry on entry.provider = line.provider and entry.model = line.model
-- what is a number is a price per unit, but for one column
inner join jsonb_each(to_jsonb(line)) as unit (name, price)
    on jsonb_typeof(unit.price) = 'number' and unit.name <> 'context_above'
where not exists (select from {{ this }})
