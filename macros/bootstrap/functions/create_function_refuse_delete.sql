{#
    What spend, decisions and the trail name stays. Always, not only where rollups name it: usage may be on its way, and a
    row that is let go by mistake can't be had back. Trigger argument: what to do instead.
#}
{% macro create_function_refuse_delete() %}
create or replace function internal.refuse_delete() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    row_name text;
begin
    if tg_op = 'TRUNCATE' then
        raise exception '% cannot be emptied: spend and decisions would lose what they belong to; %', tg_table_name, tg_argv[0]
            using errcode = 'restrict_violation';
    end if;
    if current_setting('governance.managing_rows', true) = 'on' then
        -- anybody can set it
        if not pg_has_role((select relowner from pg_class where oid = tg_relid), 'usage') then
            raise exception 'setting governance.managing_rows is for builds, by the owner of %, and not for %; leave it out', tg_table_name, current_user
                using errcode = 'insufficient_privilege';
        end if;
        return old;
    end if;
    row_name := coalesce(to_jsonb(old) ->> 'slug', to_jsonb(old) ->> 'email', to_jsonb(old) ->> 'key_prefix', to_jsonb(old) ->> 'id');
    -- a draft has decided nothing
    if tg_table_name = 'policies' and to_jsonb(old) ->> 'published_at' is null and to_jsonb(old) ->> 'is_active' = 'false' then
        return old;
    end if;
    raise exception '%: "%" cannot be deleted: spend and decisions would lose what they belong to; %', tg_table_name, row_name, tg_argv[0]
        using errcode = 'restrict_violation';
end $f$;
comment on function internal.refuse_delete() is
    'Trigger with what to do instead as its argument: refuses to delete what spend and decisions belong to, and to empty the table.';
{% endmacro %}
