{#
    Text that people see and compare. Escapes, not the characters themselves, so that the file can be read: control
    characters, those that turn the direction of writing, and those that take no room. Joiners belong to words in scripts
    such as Persian or Hindi and to emoji; beside letters that never join they only hide. E'' strings: they mean the same
    whatever standard_conforming_strings is.
#}
{% macro create_function_validate_text() %}
create or replace function internal.validate_text(key text, value text, max_length integer, takes_lines boolean default false)
returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    hidden constant text :=
        E'[\\u0001-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e'
        || E'\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\U0001d173-\\U0001d17a\\U000e0000-\\U000e007f]'
        || E'|(^|[\\u0001-\\u052f])[\\u200c\\u200d]|[\\u200c\\u200d]([\\u0001-\\u052f\\u200c\\u200d]|$)';
    plain text := case when takes_lines then translate(value, E'\n\r\t', '   ') else value end;
    found text;
begin
    if length(value) > max_length then
        raise exception '% has % characters; at most % are allowed', key, length(value), max_length
            using errcode = 'check_violation';
    end if;
    if plain !~ E'[^ \\u00a0\\u1680\\u2000-\\u200d\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff\\u0009-\\u000d\\u0085]' then
        raise exception '% is blank; write something that can be seen, or leave it out', key using errcode = 'check_violation';
    end if;
    if plain !~ '^[ -~]*$' then
        -- of a joiner and its neighbour the joiner
        found := substring(plain from '(' || hidden || ')');
        if found is not null then
            found := coalesce(substring(found from E'[\\u200c\\u200d]'), found);
            raise exception '% has the character U+% at place %, which cannot be seen; leave it out',
                key, upper(lpad(to_hex(ascii(found)), 4, '0')), strpos(plain, found)
                using errcode = 'check_violation';
        end if;
    end if;
    return true;
end $f$;
comment on function internal.validate_text(text, text, integer, boolean) is
    'True for text that can be seen and is not too long; otherwise an error that names the key. The last argument: may it have several lines.';
{% endmacro %}
