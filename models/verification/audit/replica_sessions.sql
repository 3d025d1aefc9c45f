-- one row per role or database whose sessions begin as those of a replica
with starting as (
    select
        case
            when pg_roles.rolname is null then format('database %I', current_database())
            when pg_db_role_setting.setdatabase = 0 then format('role %I', pg_roles.rolname)
            else format('role %I in database %I', pg_roles.rolname, current_database())
        end as whose
    from pg_db_role_setting
    left join pg_database on pg_database.oid = pg_db_role_setting.setdatabase
    left join pg_roles on pg_roles.oid = pg_db_role_setting.setrole
    where coalesce(pg_database.datname, current_database()) = current_database()
        and 'session_replication_role=replica' = any(pg_db_role_setting.setconfig)
)

select
    whose as subject,
    'Its sessions pretend to be a replica: foreign keys and ordinary triggers do not fire in them.' as message,
    format('As a superuser run `alter %s reset session_replication_role`, then ask the rules again.', whose) as fix
from starting
