-- one row per thing that this engine or zone cannot do
select
    limits.feature as subject,
    format('Not supported here: %s.', limits.feature) as message,
    format('Nothing is to do: %s.', trim(trailing ')' from split_part(settings.value, ' (', 2))) as fix
from internal.settings as settings
cross join lateral string_to_table(split_part(settings.value, ' (', 1), ', ') as limits (feature)
where settings.name = 'not_supported'
    and settings.value <> ''
