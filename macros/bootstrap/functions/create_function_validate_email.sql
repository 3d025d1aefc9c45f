{% macro create_function_validate_email() %}
create or replace function internal.validate_email(key text, value text) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text := internal.email_fault(key, value);
begin
    if fault is not null then
        raise exception '%', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_email(text, text) is
    'True for an address that cannot be written in another way that looks the same; otherwise an error that names the key.';
{% endmacro %}
