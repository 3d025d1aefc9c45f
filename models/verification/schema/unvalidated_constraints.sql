-- one row per constraint that holds for new rows only
with unvalidated as (
    select
        pg_constraint.conname as name,
        format('%s.%s', pg_class.relnamespace::regnamespace, pg_class.relname) as relation,
        format(
            'alter table %I.%I validate constraint %I',
            pg_class.relnamespace::regnamespace::text,
            pg_class.relname,
            pg_constraint.conname
        ) as statement,
        case pg_constraint.contype when 'c' then pg_get_expr(pg_constraint.conbin, pg_constraint.conrelid) end as rule
    from pg_constraint
    inner join pg_class on pg_class.oid = pg_constraint.conrelid
    where pg_class.relnamespace::regnamespace::text in ('core', 'internal')
        and not pg_constraint.convalidated
)

select
    format('%s on %s', name, relation) as subject,
    'The constraint was never checked against the rows that were there before it.' as message,
    case
        -- they say what is wrong with a row where the constraint itself would stop at the first
        when rule ~ '^internal[.]validate_(text|email)[(]'
            then format(
                    'See what is wrong by `select *, %1$s from %2$s where %1$s is not null`, correct it, run `%3$s`.',
                    regexp_replace(rule, '^internal[.]validate_(text|email)', 'internal.\1_fault'),
                    relation,
                    statement
                )
        when rule is not null
            then format(
                    'See the rows by `select * from %s where not %s`, correct them, run `%s`.',
                    relation,
                    rule,
                    statement
                )
        else format('Run `%s`, and correct the rows it names.', statement)
    end as fix
from unvalidated
