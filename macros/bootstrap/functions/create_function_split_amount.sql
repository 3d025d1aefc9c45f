{#
    Shares of an amount by weights that add up to it to the last digit: each share is cut after as many digits as the amount
    has, at least 12, and what is left over goes, a unit each, to those that lost most (largest remainder; ties in order).
#}
{% macro create_function_split_amount() %}
create or replace function internal.split_amount(amount numeric, weights numeric[]) returns numeric[]
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    digits constant integer := greatest(12, scale(amount));
    unit constant numeric := ('1e-' || digits)::numeric;
    total constant numeric := (select sum(weight) from unnest(weights) as w (weight));
    shares numeric[];
begin
    if total is null or total <= 0 or exists (select from unnest(weights) as w (weight) where weight < 0 or weight is null) then
        raise exception 'an amount is split by weights that are not negative and not all 0, not by %', weights
            using errcode = 'invalid_parameter_value';
    end if;
    -- div() cuts exactly, where / would round
    with parts as (
        select
            place,
            div(amount * weight * ('1e' || digits)::numeric, total) as units,
            mod(amount * weight * ('1e' || digits)::numeric, total) as lost
        from unnest(weights) with ordinality as w (weight, place)
    ),
    ranked as (
        select
            place,
            units,
            row_number() over (order by abs(lost) desc, place) as rank,
            amount * ('1e' || digits)::numeric - sum(units) over () as left_over
        from parts
    )
    select array_agg(trim_scale((units + case when rank <= abs(left_over) then sign(left_over) else 0 end) * unit) order by place)
    into shares
    from ranked;
    return shares;
end $f$;
comment on function internal.split_amount(numeric, numeric[]) is
    'Splits an amount by weights into shares that add up to it to the last digit.';
{% endmacro %}
