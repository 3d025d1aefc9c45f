-- one row per trigger or foreign key that does not fire as it should
{{ depend_on(core_tables()) -}}
with triggers as (
    select
        format('%s.%s', pg_class.relnamespace::regnamespace, pg_class.relname) as relation,
        format('%s.%s', tables.relnamespace::regnamespace, tables.relname) as table_name,
        coalesce(pg_constraint.conname, pg_trigger.tgname)::text as trigger,
        pg_trigger.tgenabled::text as fires,
        pg_constraint.oid is not null as is_of_a_key
    from pg_trigger
    inner join pg_class on pg_class.oid = pg_trigger.tgrelid
    left join pg_constraint on pg_constraint.oid = pg_trigger.tgconstraint
    left join pg_inherits on pg_inherits.inhrelid = pg_class.oid and pg_class.relispartition
    inner join pg_class as tables on tables.oid = coalesce(pg_inherits.inhparent, pg_class.oid)
    where pg_class.relnamespace::regnamespace::text in ('core', 'internal')
),

expected (relation, trigger, fires) as (
    values {{ expected_triggers() }}
),

-- what `enable trigger all` makes triggers of ordinary sessions
always as (
    select
        expected.relation,
        string_agg(format(', enable always trigger %s', expected.trigger), '' order by expected.trigger) as triggers
    from expected
    where expected.fires = 'A'
    group by expected.relation
)

select distinct
    format('%s on %s', triggers.trigger, triggers.relation) as subject,
    case
        when triggers.fires in ('D', 'R') and triggers.is_of_a_key
            then format('The foreign key is not enforced: its triggers on %s are disabled.', triggers.relation)
        when triggers.fires = 'D' then 'It is disabled.'
        when expected.fires = 'R' then 'It fires in ordinary sessions too, which have another trigger for it.'
        when triggers.fires = 'R' then 'It fires only in a session that pretends to be a replica.'
        else 'It does not fire in a session that pretends to be a replica.'
    end as message,
    case when triggers.is_of_a_key then 'As a superuser run `' else 'Run `' end
    || case
        -- a key's triggers have no name of their own
        when triggers.is_of_a_key then format('alter table %s enable trigger all%s', triggers.relation, always.triggers)
        else format(
                'alter table %s enable %strigger %s',
                triggers.relation,
                case expected.fires when 'A' then 'always ' when 'R' then 'replica ' else '' end,
                triggers.trigger
            )
    end
    || '`, then look at what was written meanwhile.' as fix
from triggers
left join always on always.relation = triggers.table_name
left join expected
    on expected.relation = triggers.table_name and expected.trigger = triggers.trigger
where triggers.fires = 'D'
    or (triggers.fires = 'R' and expected.fires is distinct from 'R')
    or (expected.fires in ('A', 'R') and triggers.fires <> expected.fires)
