{# Requests name the prices they were costed with, so a price is ended or superseded, and another one is entered. #}
{% macro create_function_refuse_price_change() %}
create or replace function internal.refuse_price_change() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    if to_jsonb(new) - '{valid_to,superseded_at}'::text[] <> to_jsonb(old) - '{valid_to,superseded_at}'::text[] then
        raise exception 'model_prices: the price of % for % of %/% cannot be changed, for requests may have been costed with it; set its superseded_at and enter another one', old.unit_price, old.unit, old.provider, old.model
            using errcode = 'restrict_violation';
    end if;
    if old.superseded_at is not null then
        raise exception 'model_prices: the price of % for % of %/% is superseded and stays so; enter another one', old.unit_price, old.unit, old.provider, old.model
            using errcode = 'restrict_violation';
    end if;
    return new;
end $f$;
comment on function internal.refuse_price_change() is 'Trigger: of a price only its end and that it is superseded may be set.';
{% endmacro %}
