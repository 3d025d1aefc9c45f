-- one row per line that a provider reports or invoices as cost, in days of its zone
with names as (
    select
        {{ provider_key('said') }} as said,
        (array_agg(provider order by is_own desc, priority))[1] as provider
    from (
        select said, canonical as provider, true as is_own, priority
        from {{ ref('name_aliases') }}
        where kind = 'provider' and match = 'exact'
        union all
        select said, provider, false, priority
        from {{ ref('provider_aliases') }}
        where match = 'exact'
    ) as rules
    group by 1
)

select
    charges.source,
    coalesce(names.provider, charges.provider) as provider,
    charges.account,
    charges.zone,
    (charges.starts_at at time zone charges.zone)::date as first_day,
    ((charges.ends_at - interval '1 microsecond') at time zone charges.zone)::date + 1 as end_day,
    charges.currency,
    charges.cost_amount,
    coalesce(
        charges.cost_amount < 0
        or charges.dimensions ->> 'charge_class' = 'Correction'
        or charges.dimensions ->> 'charge_category' in ('Credit', 'Adjustment', 'Tax'),
        false
    ) as is_adjustment,
    charges.loaded_at
from {{ ref('provider_usage') }} as charges
left join names on names.said = {{ provider_key('charges.provider') }}
where charges.cost_amount is not null and charges.replaced_at is null
