{% macro create_function_refuse_system_role_change() %}
create or replace function internal.refuse_system_role_change() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    if tg_op = 'TRUNCATE' then
        raise exception 'roles holds the system roles and cannot be emptied; delete your own roles one by one'
            using errcode = 'check_violation';
    end if;
    -- set by a build, whose rows the system roles are
    if current_setting('governance.managing_rows', true) = 'on' then
        -- anybody can set it
        if not pg_has_role((select relowner from pg_class where oid = tg_relid), 'usage') then
            raise exception 'setting governance.managing_rows is for builds, by the owner of %, and not for %; leave it out', tg_table_name, current_user
                using errcode = 'insufficient_privilege';
        end if;
        return case when tg_op = 'DELETE' then old else new end;
    end if;
    if tg_op = 'DELETE' then
        if old.is_system_role then
            raise exception 'role "%" is a system role and cannot be deleted; revoke its grants instead', old.slug
                using errcode = 'check_violation';
        end if;
        return old;
    end if;
    if tg_op = 'UPDATE' then
        if old.is_system_role and (new.id, new.slug, new.name) is distinct from (old.id, old.slug, old.name) then
            raise exception 'role "%" is a system role and cannot be renamed; make a role of your own with it as parent', old.slug
                using errcode = 'check_violation';
        end if;
        if old.is_system_role = new.is_system_role then
            return new;
        end if;
        raise exception 'role "%": is_system_role is set by the build only and cannot be changed', old.slug
            using errcode = 'check_violation';
    end if;
    if new.is_system_role then
        raise exception 'role "%" cannot be made a system role; those come from seeds/system_roles.csv', new.slug
            using errcode = 'check_violation';
    end if;
    return new;
end $f$;
comment on function internal.refuse_system_role_change() is
    'Trigger of roles: a system role cannot be deleted, renamed or unmade, and only a build makes one.';
{% endmacro %}
