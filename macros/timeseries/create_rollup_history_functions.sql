{# What readers see of older versions of a rollup, and of the views that read one that is replaced. #}
{% macro create_rollup_history_functions() %}
create or replace function internal.history_column(relation regclass, name text, type text) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    present oid := (select atttypid from pg_attribute where attrelid = relation and attname = name and not attisdropped);
begin
    if present = type::regtype then
        return quote_ident(name);
    elsif present is null then
        return format('null::%s', type);
    end if;
    -- tried on every row: a reader must not meet a value that can't be cast
    execute format('select count(%I::%s) from %s', name, type, relation);
    return format('%I::%s', name, type);
exception when cannot_coerce or data_exception then
    raise notice '% of % cannot be cast to % and is null there', name, relation, type;
    return format('null::%s', type);
end $f$;
comment on function internal.history_column(regclass, text, text) is 'Expression for a column of an older version in the type it has now; null where it did not exist or cannot be cast.';

create or replace function internal.history_query(rollup_name text, columns text[], types text[], grain text[]) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    part record;
    parts text[] := '{}';
    expressions text;
    keys text;
begin
    for part in
        select internal.history_relation(h.rollup, h.version) as relation, not h.grain <@ history_query.grain as is_finer
        from internal.rollup_history as h
        where h.rollup = rollup_name
        order by h.version
    loop
        select
            string_agg(
                case
                    when not part.is_finer or c.name = any (grain) then e.expression
                    when c.name ~ '_max$|^last_' then format('max(%s)', e.expression)
                    when c.name ~ '_min$|^first_' then format('min(%s)', e.expression)
                    when t.typcategory = 'N' then format('sum(%s)::%s', e.expression, c.type)
                    else format('max(%s)', e.expression)
                end || ' as ' || quote_ident(c.name),
                ', ' order by c.position
            ),
            string_agg(c.position::text, ', ' order by c.position) filter (where c.name = any (grain))
        into expressions, keys
        from unnest(columns, types) with ordinality as c (name, type, position)
        inner join pg_type as t on t.oid = c.type::regtype
        cross join lateral internal.history_column(part.relation::regclass, c.name, c.type) as e (expression);
        parts := parts || format(
            'select %s from %s%s', expressions, part.relation, case when part.is_finer then ' group by ' || keys else '' end
        );
    end loop;
    return array_to_string(parts, E'\nunion all\n');
end $f$;
comment on function internal.history_query(text, text[], text[], text[]) is 'Query over the older versions of a rollup in the columns and the grain it has now; empty without any.';

create or replace function internal.dependent_views(target regclass) returns regclass[]
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    with recursive dependents as (
        select target::oid as view, 0 as depth
        union
        select r.ev_class, d.depth + 1
        from dependents as d
        inner join pg_depend as p
            on p.refclassid = 'pg_class'::regclass and p.refobjid = d.view and p.classid = 'pg_rewrite'::regclass
        inner join pg_rewrite as r on r.oid = p.objid and r.ev_class <> d.view
        inner join pg_class as c on c.oid = r.ev_class and c.relkind = 'v'
    )
    select coalesce(array_agg(found.view::regclass order by found.depth, found.view), '{}')
    from (select view, max(depth) as depth from dependents where depth > 0 group by view) as found
$f$;
comment on function internal.dependent_views(regclass) is 'Views that read a relation, also through other views; those read by others first.';

create or replace function internal.view_statements(view regclass) returns text[]
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select array[
        format(
            'create view %s%s as %s', view, coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''), pg_get_viewdef(view)
        ),
        format('alter view %s owner to %I', view, pg_get_userbyid(c.relowner))
    ] || array(
        select format(
            'grant %s on %s to %s%s', a.privilege_type, view,
            case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
            case when a.is_grantable then ' with grant option' else '' end
        )
        from aclexplode(c.relacl) as a
        where a.grantee <> c.relowner
    ) || array(
        select format('comment on view %s is %L', view, d.description)
        from pg_description as d
        where d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
    ) || array(
        select format('comment on column %s.%I is %L', view, a.attname, d.description)
        from pg_description as d
        inner join pg_attribute as a on a.attrelid = d.objoid and a.attnum = d.objsubid
        where d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid > 0
    )
    from pg_class as c
    where c.oid = view
$f$;
comment on function internal.view_statements(regclass) is 'What makes a view again as it is: definition, options, owner, grants, comments.';
{% endmacro %}
