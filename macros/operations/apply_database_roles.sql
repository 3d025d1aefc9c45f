{# `governance roles apply`: creates roles and brings owners and rights to what they should be, or with plan only shows it. #}
{% macro apply_database_roles(plan=false) %}
    {%- for sentence in bring_database_roles(plan=plan) %}{% do print('not possible: ' ~ sentence) %}{% endfor -%}
{% endmacro %}

{#
    At the end of a build, by a role that owns the warehouse: rights on what is new. By the var database_roles. none = where
    `governance roles apply` made roles for this database before, or governance_owner builds, as in a database that was empty
    then; true = a build creates them too; false = never.
#}
{% macro keep_database_roles() %}
    {%- if execute and writes_schema() and flags.WHICH != 'run-operation' -%}
        {%- set wanted = var('database_roles', none) | string | lower -%}
        {%- if wanted not in ['none', 'true', 'false'] -%}
            {{ exceptions.raise_compiler_error("database_roles is '" ~ wanted ~ "'; set it to true or false, or leave it empty") }}
        {%- endif -%}
        {%- if wanted == 'true' or wanted == 'none' and is_relation_there('internal.settings') and run_query(roles_are_kept()).rows | length -%}
            {%- for sentence in bring_database_roles(create=wanted == 'true', revoke=false, quiet=true) -%}
                {% do log('database roles: ' ~ sentence, info=true) %}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro roles_are_kept() %}
select true
where pg_has_role((select relowner from pg_class where oid = 'internal.settings'::regclass), 'usage')
    and (
        current_user = 'governance_owner'
        or exists (select from internal.settings where name = 'database_roles' and value = 'true')
    )
{% endmacro %}
