{#
    One look, one address, as far as a constraint can say: normal form NFKC (what NFC leaves apart, such as wide letters,
    looks alike too), nothing unseen, and no part of mixed scripts with letters of one look. Addresses in one
    script are fine; two whole words of one look are found by the rule confusable_accounts.
#}
{% macro create_function_validate_email() %}
create or replace function internal.validate_email(key text, value text) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    latin constant text := E'A-Za-z\\u00aa\\u00ba\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u024f\\u1e00-\\u1eff\\u2c60-\\u2c7f';
    greek constant text := E'\\u0370-\\u03ff\\u1f00-\\u1fff\\u2c80-\\u2cff';
    cyrillic constant text := E'\\u0400-\\u052f\\u1c80-\\u1c8f\\u2de0-\\u2dff\\ua640-\\ua69f';
    others constant text := E'\\u0530-\\u058f\\u10a0-\\u10ff\\u13a0-\\u13ff\\u1c90-\\u1cbf\\u2c00-\\u2c5f\\ua4d0-\\ua4ff\\uab70-\\uabbf';
    part text;
begin
    if value ~ '^[!-~]*$' then
        return true;
    end if;
    perform internal.validate_text(key, value, 254);
    if value ~ E'[\\u200c\\u200d\\ufe00-\\ufe0f\\U000e0100-\\U000e01ef]' then
        raise exception '% has a character that cannot be seen; leave it out', key using errcode = 'check_violation';
    end if;
    if value is not nfkc normalized then
        raise exception '% is not in Unicode''s normal form NFKC, so it could look like another address; write it as normalize(…, NFKC) does', key
            using errcode = 'check_violation';
    end if;
    foreach part in array regexp_split_to_array(value, '[.@_+-]') loop
        if (part ~ ('[' || latin || ']'))::integer
            + (part ~ ('[' || greek || ']'))::integer
            + (part ~ ('[' || cyrillic || ']'))::integer
            + (part ~ ('[' || others || ']'))::integer > 1
        then
            raise exception '% has letters of several scripts in "%", so it could look like another address; write each part in one script', key, part
                using errcode = 'check_violation';
        end if;
    end loop;
    return true;
end $f$;
comment on function internal.validate_email(text, text) is
    'True for an address that cannot be written in another way that looks the same; otherwise an error that names the key.';
{% endmacro %}
