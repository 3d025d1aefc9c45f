{#
    What requests cost by our prices; ingestion, repricing and `governance prices show` all ask these functions. Prices are
    resolved once for each combination that a batch has, and joined to its rows.
#}
{% macro create_pricing_functions() %}
create or replace function internal.begin_pricing() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    if to_regclass('pg_temp.price_keys') is null then
        create temporary table price_keys (
            key_id bigint, said_provider text, said_model text, said_tier text, region text, team_id uuid, wanted_currency text,
            low timestamptz, high timestamptz, provider text, model text, service_tier text
        );
        create temporary table price_teams (team_id uuid, agreed_team_id uuid, distance integer);
        create temporary table price_rates (
            key_id bigint, starts timestamptz, ends timestamptz, context_from bigint, context_to bigint, price_id uuid,
            entry text, list_entry text, service_tier text, context_above bigint, currency text, agreement_id uuid,
            discount_percent numeric, date_basis text, is_estimate boolean, is_list boolean, needs_usage boolean, units text[],
            {%- for kind in ['list', 'price'] %}
            {%- for column in token_classes() + ['requests'] %}
            {{ kind }}_{{ column }} numeric,
            {%- endfor %}
            {{ kind }}_of_units numeric[],
            {%- endfor %}
            detail jsonb
        );
    end if;
    delete from pg_temp.price_keys;
    delete from pg_temp.price_teams;
    delete from pg_temp.price_rates;
    insert into pg_temp.price_teams (team_id, agreed_team_id, distance)
    with recursive below (team_id, agreed_team_id, distance) as (
        select distinct team_id, team_id, 0 from core.price_agreements where team_id is not null
        union all
        select t.id, b.agreed_team_id, b.distance + 1
        from below as b
        inner join core.teams as t on t.parent_team_id = b.team_id
        where b.distance < 11
    )
    select team_id, agreed_team_id, distance from below;
end $f$;
comment on function internal.begin_pricing() is 'Makes the temporary tables of pricing, empty but for the teams that agreements reach.';

create or replace function internal.name_price_keys() returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $f$
{{ name_price_keys() }}
$f$;
comment on function internal.name_price_keys() is 'Gives what pg_temp.price_keys asks for the names by which prices know it.';

create or replace function internal.resolve_prices() returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $f$
{{ resolve_prices() }}
$f$;
comment on function internal.resolve_prices() is 'Finds the prices of what pg_temp.price_keys asks for, into pg_temp.price_rates.';

create or replace function internal.keep_applied_prices() returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $f$
    insert into core.applied_prices
        (id, provider, model, service_tier, context_above, currency, agreement_id, discount_percent, date_basis, is_estimate)
    select distinct on (r.price_id)
        r.price_id, k.provider, k.model, r.service_tier, r.context_above, r.currency, r.agreement_id, r.discount_percent,
        r.date_basis, r.is_estimate
    from pg_temp.price_rates as r
    inner join pg_temp.price_keys as k on k.key_id = r.key_id
    where not exists (select from core.applied_prices as known where known.id = r.price_id)
    order by r.price_id
    on conflict (id) do nothing;
    insert into core.applied_unit_prices (price_id, unit, list_unit_price, unit_price, list_model_price_id, model_price_id)
    select distinct on (r.price_id, d.unit)
        r.price_id, d.unit, d.list_unit_price, d.unit_price, d.list_model_price_id, d.model_price_id
    from pg_temp.price_rates as r
    cross join lateral jsonb_to_recordset(r.detail)
        as d (unit text, list_unit_price numeric, unit_price numeric, list_model_price_id uuid, model_price_id uuid)
    where not exists (select from core.applied_unit_prices as known where known.price_id = r.price_id)
    order by r.price_id, d.unit
    on conflict (price_id, unit) do nothing
$f$;
comment on function internal.keep_applied_prices() is 'Keeps the prices in pg_temp.price_rates for the requests that are costed with them.';

create or replace function internal.cost_requests(requests text, keeps boolean) returns table (
    line bigint, price_id uuid, list_cost numeric, computed_cost numeric, currency text, is_estimate boolean
)
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    perform internal.begin_pricing();
    execute format(
        $q$
        insert into pg_temp.price_keys
            (key_id, said_provider, said_model, said_tier, region, team_id, wanted_currency, low, high, provider, model, service_tier)
        select
            row_number() over (), k.provider, k.model, k.service_tier, k.region, k.team_id, k.currency, k.low, k.high,
            k.provider, k.model, {{ normal_service_tier('k.service_tier') }}
        from (
            select
                r.provider, r.model, coalesce(r.service_tier, '') as service_tier, coalesce(r.region, '') as region,
                case when r.team_id = any (array(select t.team_id from pg_temp.price_teams as t)) then r.team_id end as team_id,
                r.currency, min(r.time) as low, max(r.time) as high
            from (%s) as r
            group by 1, 2, 3, 4, 5, 6
        ) as k
        $q$,
        requests
    );
    perform internal.name_price_keys();
    perform internal.resolve_prices();
    if keeps then
        perform internal.keep_applied_prices();
    end if;
    return query execute format(
        $q$
        select c.line, c.price_id, case when c.is_list then c.computed_cost else c.list_cost end, c.computed_cost, c.currency, c.is_estimate
        from (
            select
                r.line, x.price_id, x.is_list, x.currency, x.is_estimate,
                trim_scale(case when not x.is_list then {{ cost_of_request('list') }} end) as list_cost,
                trim_scale({{ cost_of_request('price') }}) as computed_cost
            from (
                select
                    line, time, provider, model, coalesce(service_tier, '') as service_tier, coalesce(region, '') as region,
                    case when team_id = any (array(select t.team_id from pg_temp.price_teams as t)) then team_id end as team_id,
                    currency, status, case when jsonb_typeof(units) = 'object' then units end as units,
                    {{ token_classes() | join(', ') }},
                    {{ token_classes() | join(' + ') }} as total_tokens,
                    input_tokens + cache_read_tokens + cache_write_tokens + audio_input_tokens as context_tokens
                from (%s) as given
                offset 0
            ) as r
            inner join pg_temp.price_keys as k
                on k.said_provider = r.provider and k.said_model = r.model and k.said_tier = r.service_tier and k.region = r.region
                    and coalesce(k.team_id, '00000000-0000-0000-0000-000000000000') = coalesce(r.team_id, '00000000-0000-0000-0000-000000000000')
                    and coalesce(k.wanted_currency, '') = coalesce(r.currency, '')
            inner join pg_temp.price_rates as x
                on x.key_id = k.key_id and r.time >= x.starts and r.time < x.ends
                    and r.context_tokens > x.context_from and r.context_tokens <= x.context_to
            offset 0
        ) as c
        where c.computed_cost is not null
        $q$,
        requests
    );
end $f$;
comment on function internal.cost_requests(text, boolean) is
    'What the requests of a query cost by our prices, a row per request that has a price; the second argument: are the prices kept in applied_prices.';
revoke all on function internal.cost_requests(text, boolean) from public;
{% endmacro %}
