{% macro create_function_validate_weights() %}
create or replace function internal.validate_weights(weights jsonb) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text;
begin
    if jsonb_typeof(weights) <> 'object' or weights = '{}' then
        raise exception 'weights must be an object of teams'' slugs and numbers such as {"search": 2, "data": 1}'
            using errcode = 'check_violation';
    end if;
    select format('the weight of "%s" is %s; it must be a number that is not negative', key, value) into fault
    from jsonb_each(weights)
    -- a number is compared as one: the order of evaluation is not that of the text
    where case when jsonb_typeof(value) = 'number' then value::numeric < 0 else true end
    limit 1;
    if fault is null and (select sum(value::numeric) from jsonb_each(weights)) = 0 then
        fault := 'all weights are 0, so nobody would bear the cost';
    end if;
    if fault is not null then
        raise exception '%', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_weights(jsonb) is
    'True for an object of teams'' slugs with weights that are not negative and not all 0; otherwise an error that says what is wrong.';
{% endmacro %}
