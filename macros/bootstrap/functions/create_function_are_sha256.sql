{% macro create_function_are_sha256() %}
create or replace function internal.are_sha256(hashes bytea[]) returns boolean
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select coalesce(bool_and(hash is not null and octet_length(hash) = 32), true) from unnest(hashes) as hash
$f$;
comment on function internal.are_sha256(bytea[]) is 'True where each element has the 32 bytes of a SHA-256 hash.';
{% endmacro %}
