{# Descriptions of the YAML as Postgres comments; sends only those that differ, so an unchanged build takes no lock. #}
{% macro persist_comments(relation, model) %}
    {% do send_comments(pending_comments(relation, model)) %}
{% endmacro %}

{# Statements that set those comments. #}
{% macro pending_comments(relation, model) %}
    {% set query %}
        with described (name, description) as (
            values
            (null::text, {{ dollar_quote(model.description) }})
            {%- for c in model.columns.values() %},
            ('{{ c.name }}', {{ dollar_quote(c.description) }})
            {%- endfor %}
        ),
        target as (
            select oid, case relkind when 'v' then 'view' else 'table' end as kind
            from pg_class
            where oid = '{{ relation.include(database=false) }}'::regclass
        )
        select case
            when d.name is null then format('comment on %s %s is %L', t.kind, t.oid::regclass, d.description)
            else format('comment on column %s.%I is %L', t.oid::regclass, d.name, d.description)
        end
        from described as d
        cross join target as t
        left join pg_attribute as a on a.attrelid = t.oid and a.attname = d.name
        where (d.name is null or a.attnum is not null)
            and nullif(d.description, '') is distinct from
                case when d.name is null then obj_description(t.oid, 'pg_class') else col_description(t.oid, a.attnum) end
    {% endset %}
    {{ return(run_query(query).columns[0].values() | list) }}
{% endmacro %}

{% macro send_comments(comments) %}
    {% if comments %}
        {% call statement('comments') %}{{ comments | join(';\n') }}{% endcall %}
    {% endif %}
{% endmacro %}

{% macro dollar_quote(text) %}{{ return('$c$' ~ (text or '') | trim ~ '$c$') }}{% endmacro %}

{# dbt's own, of seeds, sends every comment at each build, which only the owner of a table may. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) %}
    {% do persist_comments(relation, model) %}
{% endmacro %}
