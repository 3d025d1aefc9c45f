-- one row per database with passwords that were not yet compared with well-known ones
select
    'passwords' as subject,
    format(
        '%s of %s passwords were not yet compared with well-known ones.',
        count(*) filter (where findings.user_id is null),
        count(*)
    ) as message,
    'Run `governance verify` as the owner, or the job passwords_job of Dagster; a comparison takes seconds each.' as fix
from {{ ref('users') }} as users
left join internal.password_findings as findings
    on findings.user_id = users.id
        and findings.fingerprint = sha256(convert_to(users.password_hash, 'UTF8'))
where users.password_hash is not null
    and users.status <> 'deactivated'
having count(*) filter (where findings.user_id is null) > 0
