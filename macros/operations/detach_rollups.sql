{#
    First half of `governance rebuild-rollups`: sets the stored buckets aside as internal.<rollup>_until_<time>, so that the
    next build stores them anew from raw. Nothing is deleted; drop the set-aside tables when they are no longer wanted.
#}
{% macro detach_rollups() %}
    {% set query %}
        do $$
        declare
            rollup text;
            index_name text;
            stamp text := to_char(now() at time zone 'UTC', 'YYYYMMDDHH24MISS');
        begin
            perform pg_advisory_xact_lock({{ build_lock_key() }});
            for rollup in delete from internal.rollup_state returning name loop
                -- their names are wanted by the tables that take their place
                for index_name in
                    select indexrelid::regclass::text from pg_index where indrelid = format('rollups.%I', rollup || '_stored')::regclass
                loop
                    execute format('drop index %s', index_name);
                end loop;
                execute format('alter table rollups.%I rename to %I', rollup || '_stored', rollup || '_until_' || stamp);
                execute format('alter table rollups.%I set schema internal', rollup || '_until_' || stamp);
                delete from internal.schema_objects where name = 'rollups.' || rollup;
            end loop;
            delete from internal.rollup_invalidations;
        end $$;
        commit
    {% endset %}
    {% do run_query(query) %}
{% endmacro %}
