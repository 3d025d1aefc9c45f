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
    fault text;
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
    return internal.script_fault(key, value);
end $f$;
comment on function internal.email_fault(text, text) is
    'Why an address could look like another one, in a sentence that names the key; null where it cannot.';
{% endmacro %}
