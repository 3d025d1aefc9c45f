-- one row per table or view that isn't there
{{ depend_on(core_tables() + other_relations()) -}}
with found as (
    select format('%s.%s', namespaces.nspname, relations.relname) as name, relations.relkind::text as kind
    from pg_class as relations
    inner join pg_namespace as namespaces on namespaces.oid = relations.relnamespace
)

select
    expected.name as subject,
    case
        when found.name is null then format('The %s does not exist.', expected.kind)
        else format('It should be a %s and is something else.', expected.kind)
    end as message,
    'Run `governance build`; what was in a lost table is in the backup.' as fix
from (values {{ expected_relations() }}) as expected (name, kind)
left join found on found.name = expected.name
where found.name is null
    or (expected.kind = 'view') <> (found.kind = 'v')
    or found.kind not in ('v', 'r', 'p')
