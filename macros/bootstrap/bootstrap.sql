{#
    What every node relies on: extensions, schemas, internal tables, shared functions, settings. Runs in on-run-start,
    single-threaded, as one transaction; an object is sent only where its text is not the one applied last.
#}
{% macro bootstrap() %}
    {%- if execute and writes_schema() -%}
        {%- if run_query("select true from pg_class where oid = to_regclass('core.llm_metrics') and relkind = 'v'").rows | length -%}
            {{ exceptions.raise_compiler_error('the time-series tables are being moved to hypertables; run `governance move-to-hypertables`, which goes on and builds') }}
        {%- endif -%}
        {%- set sets_database = sets_database_settings() -%}
        {%- if sets_database and not has_database_setting('search_path') %}{% do assert_none_hidden() %}{% endif -%}
        {%- set text = bootstrap_changes(sets_database) | trim -%}
        {%- if text -%}
            {% do assert_may_change('internal') %}
            {%- if not sets_database -%}
                {% do log('search_path and jit of the database stay as they are, for it is shared or not ours to alter: name our tables with their schema (docs/operations.md)', info=true) %}
            {%- endif -%}
            select pg_advisory_xact_lock({{ lock_key('build') }});
            {{ text }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# Who runs the warehouse without owning it builds what is there already; whatever is new is the owner's to make. #}
{% macro assert_may_change(name) %}
    {%- set owner = built_by() -%}
    {%- if owner and not run_query("select pg_has_role(" ~ dbt.string_literal(dbt.escape_single_quotes(owner)) ~ ", 'usage')").rows[0][0] -%}
        {{ exceptions.raise_compiler_error(
            name ~ ' is not that of this release or of these vars, and this role may not change it: run `governance build` as ' ~ owner ~ ', then build again'
        ) }}
    {%- endif -%}
{% endmacro %}

{#
    SQL that brings the database to what bootstrap makes; empty where it is that already. Settings, and constraints that
    call the functions, are looked at again after any change: of an object, or of the schema.
#}
{% macro bootstrap_changes(sets_database) %}
    {%- set objects = bootstrap_objects() -%}
    {%- set changed = changed_objects(objects) -%}
    {%- set settings = write_settings() ~ apply_database_settings(sets_database) ~ validate_constraints() -%}
    {%- set basis = settings ~ objects | map(attribute='checksum') | join ~ schema_changes() | map(attribute='checksum') | join -%}
    {%- set has_settings = not sets_database or has_database_setting('search_path') and has_database_setting('jit') -%}
    {%- if changed | length or not has_settings or not is_applied('internal.settings', basis) -%}
        {{ create_schemas() }}
        {{ create_internal_schema_objects() }}
        -- of functions that call each other either is made first; a test compiles them all
        set local check_function_bodies = off;
        {{ changed | map(attribute='text') | join('\n') }}
        {{ settings }}
        {{ mark_objects_applied(changed) }}
        {{ mark_applied('internal.settings', basis) }}
    {%- endif -%}
{% endmacro %}

{# `create schema if not exists` asks for the right to create one also where it is there. #}
{% macro create_schemas() %}
do $$
declare
    wanted text;
begin
    foreach wanted in array array['core', 'rollups', 'reporting', 'internal'] loop
        if not exists (select from pg_namespace where nspname = wanted) then
            execute format('create schema %I', wanted);
        end if;
    end loop;
end $$;
{% endmacro %}
