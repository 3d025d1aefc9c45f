{#
    Text that people see and compare. Escapes, not the characters themselves, so that the file can be read: control
    characters, those that turn the direction of writing, and those that take no room. Joiners belong to words in scripts
    such as Persian or Hindi and to emoji; beside letters that never join they only hide. E'' strings: they mean the same
    whatever standard_conforming_strings is.
#}
{% macro create_function_text_fault() %}
create or replace function internal.text_fault(key text, value text, max_length integer, takes_lines boolean default false)
returns text
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
        return format('%s has %s characters; at most %s are allowed', key, length(value), max_length);
    end if;
    if plain !~ E'[^ \\u00a0\\u1680\\u2000-\\u200d\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff\\u0009-\\u000d\\u0085]' then
        return format('%s is blank; write something that can be seen, or leave it out', key);
    end if;
    if plain ~ '^[ -~]*$' then
        return null;
    end if;
    found := substring(plain from '(' || hidden || ')');
    if found is null then
        return null;
    end if;
    -- of a joiner and its neighbour the joiner
    found := coalesce(substring(found from E'[\\u200c\\u200d]'), found);
    return format(
        '%s has the character U+%s at place %s, which cannot be seen; leave it out',
        key, regexp_replace(upper('000' || to_hex(ascii(found))), '^0+(?=.{4})', ''), strpos(plain, found)
    );
end $f$;
comment on function internal.text_fault(text, text, integer, boolean) is
    'What is wrong with a text that people see, in a sentence that names the key; null where nothing is. The last argument: may it have several lines.';
{% endmacro %}
