{% macro create_function_validate_text() %}
create or replace function internal.validate_text(key text, value text, max_length integer, takes_lines boolean default false)
returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text := internal.text_fault(key, value, max_length, takes_lines);
begin
    if fault is not null then
        raise exception '%', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_text(text, text, integer, boolean) is
    'True for text that can be seen and is not too long; otherwise an error that names the key.';
{% endmacro %}
