{% macro create_function_refuse_bad_hierarchy() %}
create or replace function internal.refuse_bad_hierarchy() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
-- a bulk load outruns the statistics; a plan that reads the table for each row would make it quadratic
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $f$
declare
    parent_column text := tg_argv[0];
    parent_id uuid := to_jsonb(new) ->> tg_argv[0];
    guard text := tg_relid::regclass;
    is_cycle boolean;
    levels_above integer;
    levels_below integer;
begin
    if parent_id is null then
        return null;
    end if;
    -- A row, not an advisory lock: writers wait for each other, and under REPEATABLE READ or SERIALIZABLE the second
    -- one fails instead of judging an old tree. Once per transaction: each more would leave a dead version to walk over.
    if not exists (
        select from internal.hierarchy_guards where name = guard and xmin = pg_current_xact_id()::xid
    ) then
        insert into internal.hierarchy_guards as guards (name) values (guard)
        on conflict (name) do update set version = guards.version + 1;
    end if;

    execute format(
        'with recursive up (id, level) as (
            select $1, 1
            union all
            select t.%1$I, up.level + 1 from up join %2$s as t on t.id = up.id where t.%1$I is not null and up.level <= 10
        )
        select max(level), bool_or(id = $2) from up',
        parent_column, tg_relid::regclass
    ) into levels_above, is_cycle using parent_id, new.id;
    if is_cycle then
        raise exception '%: "%" cannot be put below "%", which is itself below it or the same; that would be a cycle',
            tg_table_name, new.slug, internal.slug_of(tg_relid, parent_id) using errcode = 'check_violation';
    end if;

    execute format(
        'with recursive down (id, level) as (
            select $1, 1
            union all
            select t.id, down.level + 1 from down join %2$s as t on t.%1$I = down.id where down.level <= 10
        )
        select max(level) from down',
        parent_column, tg_relid::regclass
    ) into levels_below using new.id;
    if levels_above + levels_below > 10 then
        raise exception '%: "%" with what is below it (% levels) cannot be put below "%", which is on level %; at most 10 levels are allowed',
            tg_table_name, new.slug, levels_below, internal.slug_of(tg_relid, parent_id), levels_above using errcode = 'check_violation';
    end if;
    return null;
end $f$;
comment on function internal.refuse_bad_hierarchy() is
    'Trigger with the parent column as its argument: refuses cycles and more than 10 levels, also by two transactions at once.';
revoke execute on function internal.refuse_bad_hierarchy() from public;
{% endmacro %}
