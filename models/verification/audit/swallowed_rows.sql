-- one row per rule of rewriting, or row level security, on one of our tables
{{ depend_on(core_tables()) -}}
with tables as (
    select
        pg_class.oid,
        pg_class.relrowsecurity,
        format('%I.%I', pg_namespace.nspname, pg_class.relname) as name
    from pg_class
    inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace
    where pg_namespace.nspname in ('core', 'internal', 'seeds') and pg_class.relkind in ('r', 'p')
)

select
    format('%s on %s', pg_rewrite.rulename, tables.name) as subject,
    format(
        'A rule rewrites what is written: %s',
        regexp_replace(rtrim(pg_get_ruledef(pg_rewrite.oid), ';'), '\s+', ' ', 'g') || '.'
    ) as message,
    format('Run `drop rule %I on %s`, then look for what is missing since.', pg_rewrite.rulename, tables.name) as fix
from pg_rewrite
inner join tables on tables.oid = pg_rewrite.ev_class
union all
select
    tables.name,
    'Row level security is on, which hides rows from readers and from verification.',
    format('Run `alter table %s disable row level security`, then ask the rules again.', tables.name)
from tables
where tables.relrowsecurity
