-- one row per extension of which the server has another version than the database
select
    extensions.name as subject,
    format(
        'Version %s is installed, the server brings %s.', extensions.installed_version, extensions.default_version
    ) as message,
    format('Read its release notes, then run `alter extension %I update` in a new session.', extensions.name) as fix
from pg_available_extensions as extensions
where extensions.installed_version <> extensions.default_version
