{#
    From pg_temp.price_keys (provider, model, tier, region, team, currency and span of time of requests) to
    pg_temp.price_rates: a row per span in which nothing changes and context-length tier, with a price for each unit.
    Spans and tiers don't overlap, so a request has one row at most.
#}
{% macro resolve_prices() %}
insert into pg_temp.price_rates (
    key_id, starts, ends, context_from, context_to, price_id, entry, list_entry, service_tier, context_above, currency,
    agreement_id, discount_percent, date_basis, is_estimate, is_list, needs_usage, units,
    {%- for kind in ['list', 'price'] %}
    {%- for column in token_classes() + ['requests'] %}
    {{ kind }}_{{ column }},
    {%- endfor %}
    {{ kind }}_of_units,
    {%- endfor %}
    detail
)
with scoped as (
    select k.key_id, k.provider, k.model, k.low, k.high, a.id, null::integer as distance
    from pg_temp.price_keys as k
    cross join core.price_agreements as a
    where a.team_id is null
    union all
    select k.key_id, k.provider, k.model, k.low, k.high, a.id, t.distance
    from pg_temp.price_keys as k
    inner join pg_temp.price_teams as t on t.team_id = k.team_id
    inner join core.price_agreements as a on a.team_id = t.agreed_team_id
),
agreed as (
    select
        k.key_id, a.id, a.discount_percent, a.price_list, a.valid_from, a.valid_to,
        row_number() over (
            partition by k.key_id
            order by a.team_id is null, k.distance, {{ by_precision('a.model') }}, {{ by_precision('a.provider') }}, a.id
        ) as place
    from scoped as k
    inner join core.price_agreements as a on a.id = k.id
    where (a.provider is null or {{ is_like('k.provider', 'a.provider') }})
        and (a.model is null or {{ is_like('k.model', 'a.model') }})
        and a.valid_from <= k.high and coalesce(a.valid_to, 'infinity') > k.low
),
named as (
    select k.key_id, p.id
    from pg_temp.price_keys as k
    inner join core.model_prices as p on p.provider = k.provider and p.model = k.model
    where p.superseded_at is null
    union all
    select k.key_id, p.id
    from pg_temp.price_keys as k
    inner join core.model_prices as p on p.provider = k.provider and {{ is_like('k.model', 'p.model') }}
    where p.superseded_at is null and strpos(p.model, '*') > 0 and p.model <> k.model
),
prices as materialized (
    select
        k.key_id, p.id, p.price_list, p.model, p.unit, p.service_tier, p.context_above, p.region, p.currency, p.unit_price,
        p.valid_from, coalesce(p.valid_to, 'infinity') as valid_to, p.date_basis
    from named as n
    inner join pg_temp.price_keys as k on k.key_id = n.key_id
    inner join core.model_prices as p on p.id = n.id
    where p.service_tier in ('standard', k.service_tier)
        and (p.region is null or {{ is_like('k.region', 'p.region') }})
        and (k.wanted_currency is null or p.currency = k.wanted_currency)
        and p.valid_from <= k.high and coalesce(p.valid_to, 'infinity') > k.low
        and (p.price_list = 'list' or (k.key_id, p.price_list) in (select a.key_id, a.price_list from agreed as a))
),
turns as (
    select key_id, low as starts from pg_temp.price_keys
    union
    select p.key_id, turn.at
    from (
        select key_id, valid_from, valid_to from prices
        union all
        select key_id, valid_from, coalesce(valid_to, 'infinity') from agreed
    ) as p
    cross join lateral (values (p.valid_from), (p.valid_to)) as turn (at)
    inner join pg_temp.price_keys as k on k.key_id = p.key_id
    where turn.at > k.low and turn.at <= k.high
),
spans as (
    select distinct on (t.key_id, t.starts)
        t.key_id, t.starts, t.ends, a.id as agreement_id, a.discount_percent, a.price_list
    from (
        select key_id, starts, lead(starts, 1, 'infinity') over (partition by key_id order by starts) as ends from turns
    ) as t
    left join agreed as a
        on a.key_id = t.key_id and a.valid_from <= t.starts and coalesce(a.valid_to, 'infinity') > t.starts
    order by t.key_id, t.starts, a.place
),
-- the prices of a span, and which of the entries of a list is the most precise: all its prices are those of one entry
current_prices as (
    select
        s.key_id, s.starts, p.id, p.price_list <> 'list' as is_own, p.model, p.unit, p.service_tier, p.context_above, p.region,
        p.currency, p.unit_price, p.date_basis,
        dense_rank() over (
            partition by s.key_id, s.starts, p.price_list <> 'list'
            order by {{ by_precision('p.model') }}, p.model, p.currency <> d.value, p.currency
        ) as place
    from spans as s
    inner join prices as p
        on p.key_id = s.key_id and p.valid_from <= s.starts and p.valid_to > s.starts
            and p.price_list in ('list', coalesce(s.price_list, 'list'))
    cross join internal.settings as d
    where d.name = 'default_currency'
),
own as (
    select distinct key_id, starts, model, currency from current_prices where is_own and place = 1
),
usable as (
    select *
    from (
        select p.*, min(p.place) over (partition by p.key_id, p.starts, p.is_own) as first_place
        from current_prices as p
        left join own as o on o.key_id = p.key_id and o.starts = p.starts
        where p.is_own or p.currency = coalesce(o.currency, p.currency)
    ) as p
    where place = first_place
),
contexts as (
    select key_id, starts, context_above, lead(context_above) over (partition by key_id, starts order by context_above) as above
    from (
        select key_id, starts, 0::bigint as context_above from usable
        union
        select key_id, starts, context_above from usable
    ) as c
),
-- of each unit the price of the request's tier and region before the general one, and of that the one of its length
chosen as (
    select distinct on (c.key_id, c.starts, c.context_above, u.is_own, u.unit)
        c.key_id, c.starts, c.context_above, u.is_own, u.unit, u.id, u.model, u.currency, u.unit_price, u.date_basis, u.service_tier
    from contexts as c
    inner join usable as u on u.key_id = c.key_id and u.starts = c.starts and u.context_above <= c.context_above
    order by
        c.key_id, c.starts, c.context_above, u.is_own, u.unit, u.service_tier = 'standard', {{ by_precision('u.region') }},
        u.context_above desc
),
said as (
    select
        c.key_id, c.starts, c.context_above, c.unit,
        max(c.unit_price) filter (where not c.is_own) as list_price,
        (array_agg(c.id) filter (where not c.is_own))[1] as list_id,
        (array_agg(c.unit_price order by c.is_own desc))[1] as price,
        (array_agg(c.id order by c.is_own desc))[1] as price_id,
        bool_or(c.is_own) as is_own,
        (array_agg(c.date_basis order by c.is_own desc))[1] as date_basis
    from chosen as c
    group by 1, 2, 3, 4
),
wanted (unit, billed_as) as (
    values
    {%- for column in token_classes() %}
    ('{{ column }}', '{{ class_billed_as(column) }}'),
    {%- endfor %}
    {%- for unit in other_price_units() %}
    ('{{ unit }}', '{{ unit }}'){{ ',' if not loop.last }}
    {%- endfor %}
),
-- a class that the list doesn't name is billed as the one it is part of
complete as (
    select
        c.key_id, c.starts, c.context_above, w.unit,
        coalesce(own.list_price, base.list_price) as list_price,
        coalesce(own.list_id, base.list_id) as list_id,
        case when coalesce(own.is_own, base.is_own) then coalesce(own.price, base.price)
            else coalesce(own.price, base.price) * (1 - coalesce(s.discount_percent, 0) * 0.01) end as price,
        coalesce(own.price_id, base.price_id) as price_id,
        coalesce(own.date_basis, base.date_basis) as date_basis,
        s.agreement_id, s.discount_percent, s.ends, c.above
    from contexts as c
    inner join spans as s on s.key_id = c.key_id and s.starts = c.starts
    cross join wanted as w
    left join said as own
        on own.key_id = c.key_id and own.starts = c.starts and own.context_above = c.context_above and own.unit = w.unit
    left join said as base
        on base.key_id = c.key_id and base.starts = c.starts and base.context_above = c.context_above and base.unit = w.billed_as
            and own.unit is null
    where coalesce(own.price, base.price) is not null
),
facts as (
    select
        c.key_id, c.starts, c.context_above,
        min(c.currency) as currency,
        min(c.model) filter (where c.is_own) as own_entry,
        min(c.model) filter (where not c.is_own) as list_entry,
        bool_or(c.service_tier <> 'standard') as has_tier
    from chosen as c
    group by 1, 2, 3
)
select
    c.key_id, c.starts, c.ends,
    case when c.context_above = 0 then -1 else c.context_above end,
    coalesce(c.above, {{ 2 ** 62 }}),
    md5(concat_ws(
        ' ', c.agreement_id, k.service_tier, k.service_tier <> 'standard' and not f.has_tier, c.context_above, k.provider, k.model,
        string_agg(
            concat_ws(' ', c.unit, trim_scale(c.list_price), trim_scale(c.price), c.list_id, c.price_id), ', ' order by c.unit collate "C"
        )
    ))::uuid,
    f.own_entry, f.list_entry, k.service_tier, c.context_above, f.currency, c.agreement_id, c.discount_percent,
    case
        when bool_or(c.date_basis = 'assumed') then 'assumed'
        when bool_or(c.date_basis = 'decided') then 'decided'
        else 'known'
    end,
    k.service_tier <> 'standard' and not f.has_tier,
    bool_and(c.list_price is not distinct from c.price),
    bool_or(c.unit <> 'requests'),
    array_agg(c.unit order by c.unit) filter (where c.unit in ('{{ other_price_units()[1:] | join("', '") }}')),
    {%- for kind in ['list_price', 'price'] %}
    {%- for column in token_classes() + ['requests'] %}
    max(c.{{ kind }} * 0.000001) filter (where c.unit = '{{ column }}'),
    {%- endfor %}
    array_agg((c.{{ kind }} - coalesce(w.{{ kind }}, 0)) * 0.000001 order by c.unit) filter (where c.unit in ('{{ other_price_units()[1:] | join("', '") }}')),
    {%- endfor %}
    jsonb_agg(jsonb_build_object(
        'unit', c.unit, 'list_unit_price', c.list_price, 'unit_price', c.price,
        'list_model_price_id', c.list_id, 'model_price_id', c.price_id
    ))
from complete as c
inner join pg_temp.price_keys as k on k.key_id = c.key_id
inner join facts as f on f.key_id = c.key_id and f.starts = c.starts and f.context_above = c.context_above
-- the class that a part is of
left join complete as w
    on w.key_id = c.key_id and w.starts = c.starts and w.context_above = c.context_above
        and w.unit = case c.unit
            {%- for unit, column in part_units().items() %} when '{{ unit }}' then '{{ column }}'{% endfor %} end
group by
    c.key_id, c.starts, c.ends, c.context_above, c.above, c.agreement_id, c.discount_percent, k.service_tier, k.provider, k.model,
    f.own_entry, f.list_entry, f.currency, f.has_tier
{% endmacro %}
