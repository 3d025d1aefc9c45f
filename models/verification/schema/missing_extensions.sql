-- one row per extension that is needed and not installed
select
    required.name as subject,
    format('The extension %s, which serves %s, is not installed.', required.name, required.purpose) as message,
    format('Run `create extension %s schema public` as a superuser.', required.name) as fix
from (values {{ required_extensions() }}) as required (name, purpose)
left join pg_extension as installed on installed.extname = required.name
where installed.oid is null
