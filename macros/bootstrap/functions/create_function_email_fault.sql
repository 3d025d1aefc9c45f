{#
    One look, one address, as far as a constraint can say: normal form NFKC (what NFC leaves apart, such as wide letters,
    looks alike too), nothing unseen, and no part of mixed scripts with letters of one look. Addresses in one script are
    fine; two whole words of one look are found by the rule confusable_accounts.
#}
{% macro create_function_email_fault() %}
create or replace function internal.email_fault(key text, value text) returns text
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    latin constant text := E'[A-Za-z\\u00aa\\u00ba\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u024f\\u1e00-\\u1eff\\u2c60-\\u2c7f]';
    greek constant text := E'[\\u0370-\\u03ff\\u1f00-\\u1fff\\u2c80-\\u2cff]';
    cyrillic constant text := E'[\\u0400-\\u052f\\u1c80-\\u1c8f\\u2de0-\\u2dff\\ua640-\\ua69f]';
    others constant text := E'[\\u0530-\\u058f\\u10a0-\\u10ff\\u13a0-\\u13ff\\u1c90-\\u1cbf\\u2c00-\\u2c5f\\ua4d0-\\ua4ff\\uab70-\\uabbf]';
    fault text;
    part text;
begin
    if value ~ '^[!-~]*$' then
        return null;
    end if;
    fault := internal.text_fault(key, value, 254);
    if fault is not null then
        return fault;
    end if;
    if value ~ E'[\\u200c\\u200d\\ufe00-\\ufe0f\\U000e0100-\\U000e01ef]' then
        return format('%s has a character that cannot be seen; leave it out', key);
    end if;
    if value is not nfkc normalized then
        return format('%s is not in Unicode''s normal form NFKC, so it could look like another address; write it as normalize(…, NFKC) does', key);
    end if;
    foreach part in array regexp_split_to_array(value, '[.@_+-]') loop
        if (part ~ latin)::integer + (part ~ greek)::integer + (part ~ cyrillic)::integer + (part ~ others)::integer > 1 then
            return format('%s has letters of several scripts in "%s", so it could look like another address; write each part in one script', key, part);
        end if;
    end loop;
    return null;
end $f$;
comment on function internal.email_fault(text, text) is
    'Why an address could look like another one, in a sentence that names the key; null where it cannot.';
{% endmacro %}
