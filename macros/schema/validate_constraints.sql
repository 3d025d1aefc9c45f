{#
    Changes add constraints not valid, and those that call functions are validated once these are of this release. Rows
    that violate one are no reason to stop: it stays not valid, for new rows only, and unvalidated_constraints names it.
#}
{% macro validate_constraints() %}
do $$
declare
    added record;
    patience text := current_setting('lock_timeout');
begin
    set local lock_timeout = '5s';
    for added in
        select pg_constraint.conrelid::regclass as relation, pg_constraint.conname as name
        from pg_constraint
        inner join pg_class on pg_class.oid = pg_constraint.conrelid
        where pg_class.relnamespace = 'core'::regnamespace and pg_class.relkind = 'r'
            and pg_constraint.contype = 'c' and not pg_constraint.convalidated
        order by 1, 2
    loop
        begin
            execute format('alter table %s validate constraint %I', added.relation, added.name);
        exception
            when check_violation or lock_not_available then
                raise warning 'constraint % of % holds for new rows only: %', added.name, added.relation, sqlerrm;
        end;
    end loop;
    perform set_config('lock_timeout', patience, true);
end $$;
{% endmacro %}
