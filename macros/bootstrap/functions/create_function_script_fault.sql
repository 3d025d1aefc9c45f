{# Letters of several scripts in one word are how a name pretends to be another one; nobody's real name needs them. #}
{% macro create_function_script_fault() %}
create or replace function internal.script_fault(key text, value text) returns text
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    latin constant text := E'[A-Za-z\\u00aa\\u00ba\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u024f\\u1e00-\\u1eff\\u2c60-\\u2c7f]';
    greek constant text := E'[\\u0370-\\u03ff\\u1f00-\\u1fff\\u2c80-\\u2cff]';
    cyrillic constant text := E'[\\u0400-\\u052f\\u1c80-\\u1c8f\\u2de0-\\u2dff\\ua640-\\ua69f]';
    others constant text := E'[\\u0530-\\u058f\\u10a0-\\u10ff\\u13a0-\\u13ff\\u1c90-\\u1cbf\\u2c00-\\u2c5f\\ua4d0-\\ua4ff\\uab70-\\uabbf]';
    part text;
begin
    if value ~ '^[ -~]*$' then
        return null;
    end if;
    foreach part in array regexp_split_to_array(value, '[[:space:].@_+/&-]') loop
        if (part ~ latin)::integer + (part ~ greek)::integer + (part ~ cyrillic)::integer + (part ~ others)::integer > 1 then
            return format('%s has letters of several scripts in "%s", so it could look like another one; write each part in one script', key, part);
        end if;
    end loop;
    return null;
end $f$;
comment on function internal.script_fault(text, text) is
    'Which word of a text has letters of several scripts, in a sentence that names the key; null where none has.';
{% endmacro %}
