{% macro create_function_slug_of() %}
create or replace function internal.slug_of(relation regclass, id uuid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
    slug text;
begin
    execute format('select slug from %s where id = $1', relation) into slug using id;
    return slug;
end $f$;
comment on function internal.slug_of(regclass, uuid) is 'Slug of a row, for messages.';
{% endmacro %}
