{% macro create_function_is_text_list() %}
create or replace function internal.is_text_list(list jsonb, pattern text) returns boolean
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select case when jsonb_typeof(list) = 'array' then (
        select count(*) between 1 and 1000
            and count(*) = count(distinct item)
            and bool_and(jsonb_typeof(item) = 'string' and item #>> '{}' ~ pattern)
        from jsonb_array_elements(list) as item
    ) else false end
$f$;
comment on function internal.is_text_list(jsonb, text) is 'True for a JSON list of 1 to 1000 strings, all different, all of the pattern.';
{% endmacro %}
