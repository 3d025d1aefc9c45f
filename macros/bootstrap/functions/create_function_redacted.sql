{% macro create_function_redacted() %}
create or replace function internal.redacted(row_values jsonb, secrets text[]) returns jsonb
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select coalesce(jsonb_object_agg(key, '[redacted]'), '{}')
    from jsonb_each(row_values)
    where key = any (secrets) and value <> 'null'
$f$;
comment on function internal.redacted(jsonb, text[]) is 'The secrets among the values of a row, each replaced by "[redacted]".';
{% endmacro %}
