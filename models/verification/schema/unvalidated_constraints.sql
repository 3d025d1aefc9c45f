-- one row per constraint that holds for new rows only
select
    format('%s on %s.%s', pg_constraint.conname, pg_class.relnamespace::regnamespace, pg_class.relname) as subject,
    'The constraint was never checked against the rows that were there before it.' as message,
    format(
        'Run `alter table %I.%I validate constraint %I`, and mend the rows it names.',
        pg_class.relnamespace::regnamespace::text,
        pg_class.relname,
        pg_constraint.conname
    ) as fix
from pg_constraint
inner join pg_class on pg_class.oid = pg_constraint.conrelid
where pg_class.relnamespace::regnamespace::text in ('core', 'internal')
    and not pg_constraint.convalidated
