{% macro create_function_update_updated_at() %}
create or replace function core.update_updated_at() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    if new is distinct from old then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end $f$;
comment on function core.update_updated_at() is
    'Trigger: sets updated_at to the clock, unless the update changes nothing.';
{% endmacro %}
