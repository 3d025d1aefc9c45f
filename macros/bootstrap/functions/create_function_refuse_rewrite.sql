{# What was is not written anew. Trigger arguments: the columns that may change, by commas, and what to do instead. #}
{% macro create_function_refuse_rewrite() %}
create or replace function internal.refuse_rewrite() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    changeable constant text[] := string_to_array(tg_argv[0], ',') || 'updated_at'::text;
    changed text;
begin
    select string_agg(after.key, ', ' order by after.key) into changed
    from jsonb_each(to_jsonb(new) - changeable) as after
    where after.value is distinct from to_jsonb(old) -> after.key;
    if changed is not null then
        raise exception '%: % of a row that was true cannot be changed; %', tg_table_name, changed, tg_argv[1]
            using errcode = 'restrict_violation';
    end if;
    return new;
end $f$;
comment on function internal.refuse_rewrite() is
    'Trigger with the columns that may change and what to do instead as its arguments: refuses to change any other one.';
{% endmacro %}
