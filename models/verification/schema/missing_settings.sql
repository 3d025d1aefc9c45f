-- one row per setting that a build gave the database and that it no longer has
select
    expected.setting as subject,
    format(
        'The database does not set %s to %s, so programs get the server''s value.', expected.setting, expected.value
    ) as message,
    'Run `governance build`, which sets it; sessions that are open keep what they have.' as fix
from (values {{ expected_settings() }}) as expected (setting, value)
where exists (
        select from internal.settings where settings.name = 'database_settings' and settings.value = 'true'
    )
    and not exists (
        select from pg_db_role_setting
        inner join pg_database on pg_database.oid = pg_db_role_setting.setdatabase
        where pg_database.datname = current_database()
            and pg_db_role_setting.setrole = 0
            and format('%s=%s', expected.setting, expected.value) = any(pg_db_role_setting.setconfig)
    )
