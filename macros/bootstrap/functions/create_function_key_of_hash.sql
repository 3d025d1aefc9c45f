{# The runtime finds whose key a request names by its hash, and reads no hashes. #}
{% macro create_function_key_of_hash() %}
create or replace function internal.key_of_hash(hash bytea) returns uuid
language plpgsql stable strict security definer set search_path = pg_catalog, pg_temp
as $f$
begin
    return (select k.id from core.api_keys as k where k.key_hash = hash);
end $f$;
comment on function internal.key_of_hash(bytea) is 'The API key with a hash; null where there is none.';
revoke execute on function internal.key_of_hash(bytea) from public;
{% endmacro %}
