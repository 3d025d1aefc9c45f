{#
    Tables, functions and triggers that bootstrap makes: what the macros create_internal_*, create_function_* and
    create_*_functions render, cut where a line begins another object. So a new one needs no list, and each has a checksum
    of its own. Tables come first, for functions name them, and triggers last.
#}
{% macro bootstrap_objects() %}
    {%- set found = {'table': [], 'function': [], 'procedure': [], 'trigger': []} -%}
    {%- for macro in context.keys() | sort if modules.re.match('create_(internal|function)_|create_[a-z_]+_functions$', macro) -%}
        {%- for text in modules.re.split('\n(?=create (?:or replace )?(?:table|function|procedure|trigger) )', '\n' ~ context[macro]()) if text.strip() -%}
            {%- set kind, name = modules.re.match('create (?:or replace )?([a-z]+) (?:if not exists )?([a-z0-9_.]+)', text).groups() -%}
            {%- do found[kind].append({'kind': kind, 'name': name, 'text': text, 'checksum': local_md5(text)}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found['table'] + found['function'] + found['procedure'] + found['trigger']) }}
{% endmacro %}

{# Those of the objects that are not there, or not with the text that was applied last. #}
{% macro changed_objects(objects) %}
    {%- if not run_query("select to_regclass('internal.schema_objects') is not null").columns[0].values()[0] %}{{ return(objects) }}{% endif -%}
    {%- set query -%}
        select name, checksum
        from internal.schema_objects
        where split_part(name, ' ', 2) in (
            select format('%s.%s', relnamespace::regnamespace, relname) from pg_class
            union all
            select format('%s.%s', pronamespace::regnamespace, proname) from pg_proc
            union all
            select tgname from pg_trigger
        )
    {%- endset -%}
    {%- set applied = {} -%}
    {%- for row in run_query(query).rows %}{% do applied.update({row['name']: row['checksum']}) %}{% endfor -%}
    {%- set changed = [] -%}
    {%- for object in objects if applied.get(object.kind ~ ' ' ~ object.name) != object.checksum -%}
        {%- do changed.append(object) -%}
    {%- endfor -%}
    {{ return(changed) }}
{% endmacro %}

{% macro mark_objects_applied(objects) -%}
    {% if objects %}
    insert into internal.schema_objects (name, checksum)
    values {% for object in objects %}('{{ object.kind }} {{ object.name }}', '{{ object.checksum }}'){{ ', ' if not loop.last }}{% endfor %}
    on conflict (name) do update set checksum = excluded.checksum, applied_at = now();
    {% endif %}
{%- endmacro %}
