{# pg_input_is_valid() of PostgreSQL 16, for the types that ingestion reads, on every version. #}
{% macro create_function_input_is_valid() %}
create or replace function internal.input_is_valid(input text, type_name text) returns boolean
language plpgsql stable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
begin
    case type_name
        when 'uuid' then perform input::uuid;
        when 'jsonb' then perform input::jsonb;
        when 'timestamptz' then perform input::timestamptz;
    end case;
    return true;
exception
    -- the latter: JSON that is nested too deeply
    when data_exception or program_limit_exceeded then return false;
end $f$;
comment on function internal.input_is_valid(text, text) is 'Whether a text can be read as a uuid, jsonb or timestamptz.';
{% endmacro %}
