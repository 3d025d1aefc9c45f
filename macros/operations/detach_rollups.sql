{#
    First half of `governance rebuild-rollups`: sets the stored buckets aside as internal.<rollup>_until_<time>, so that the
    next build stores them anew from raw. Nothing is deleted; drop the set-aside relations when they are no longer wanted.
#}
{% macro detach_rollups() %}
    {% set query %}
        do $$
        declare
            rollup text;
            kind text;
            aside text;
            index_name text;
            stamp text := to_char(now() at time zone 'UTC', 'YYYYMMDDHH24MISS');
        begin
            perform pg_advisory_xact_lock({{ build_lock_key() }});
            for rollup, kind in select r.name, r.kind from internal.rollup_state as r loop
                aside := rollup || '_until_' || stamp;
                if kind = 'continuous_aggregate' then
                    perform public.remove_continuous_aggregate_policy(format('rollups.%I', rollup)::regclass, if_exists => true);
                    execute format('alter materialized view rollups.%I rename to %I', rollup, aside);
                    execute format('alter materialized view rollups.%I set schema internal', aside);
                else
                    -- their names are wanted by the tables that take their place
                    for index_name in
                        select indexrelid::regclass::text from pg_index where indrelid = format('rollups.%I', rollup || '_stored')::regclass
                    loop
                        execute format('drop index %s', index_name);
                    end loop;
                    execute format('alter table rollups.%I rename to %I', rollup || '_stored', aside);
                    execute format('alter table rollups.%I set schema internal', aside);
                end if;
                delete from internal.schema_objects where name = 'rollups.' || rollup;
            end loop;
            delete from internal.rollup_state;
            delete from internal.rollup_invalidations;
            -- a change of kind means that writers log, or no longer log, what they touch
            delete from internal.schema_objects where name in (select 'core.' || t.name from internal.time_series as t);
        end $$;
        commit
    {% endset %}
    {% do run_query(query) %}
{% endmacro %}
