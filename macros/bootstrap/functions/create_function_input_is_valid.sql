{# pg_input_is_valid() of PostgreSQL 16, for the types that ingestion reads, on every version. #}
{% macro create_function_input_is_valid() %}
create or replace function internal.input_is_valid(input text, type_name text) returns boolean
language plpgsql stable strict parallel safe
as $f$
-- no `set search_path`, which would make a call three times as slow: every name here is qualified
begin
    if type_name operator(pg_catalog.=) 'uuid' then
        return input::pg_catalog.uuid is not null;
    elsif type_name operator(pg_catalog.=) 'jsonb' then
        return input::pg_catalog.jsonb is not null;
    elsif type_name operator(pg_catalog.=) 'timestamptz' then
        return input::pg_catalog.timestamptz is not null;
    end if;
    raise exception 'input_is_valid knows uuid, jsonb and timestamptz, not %', type_name;
exception
    -- the latter: JSON that is nested too deeply
    when data_exception or program_limit_exceeded then return false;
end $f$;
comment on function internal.input_is_valid(text, text) is 'Whether a text can be read as a uuid, jsonb or timestamptz.';
{% endmacro %}
