-- one row per role or database whose sessions begin as those of a replica
select
    case
        when pg_roles.rolname is null then format('database %I', current_database())
        when pg_db_role_setting.setdatabase = 0 then format('role %I', pg_roles.rolname)
        else format('role %I in database %I', pg_roles.rolname, current_database())
    end as subject,
    'Its sessions pretend to be a replica: foreign keys and ordinary triggers do not fire for what they write.' as message,
    format(
        'As a superuser run `alter %s reset session_replication_role`, then ask the rules again.',
        case
            when pg_roles.rolname is null then format('database %I', current_database())
            when pg_db_role_setting.setdatabase = 0 then format('role %I', pg_roles.rolname)
            else format('role %I in database %I', pg_roles.rolname, current_database())
        end
    ) as fix
from pg_db_role_setting
left join pg_roles on pg_roles.oid = pg_db_role_setting.setrole
where (
    pg_db_role_setting.setdatabase = 0
    or pg_db_role_setting.setdatabase = (select pg_database.oid from pg_database where pg_database.datname = current_database())
)
and exists (
    select 1
    from unnest(pg_db_role_setting.setconfig) as settings (setting)
    where settings.setting in ('session_replication_role=replica')
)
