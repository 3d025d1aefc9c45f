-- one row per account with a password that everybody knows
select
    users.email as subject,
    case findings.finding
        when 'default' then 'The password is the documented default of the first account.'
        else 'The password is one of the first that everybody would try.'
    end as message,
    'Set another password, end the sessions of the account, and look at what it did in the audit trail.' as fix
from {{ ref('users') }} as users
inner join internal.password_findings as findings
    on findings.user_id = users.id
        -- of another password than the present one a finding says nothing
        and findings.fingerprint = sha256(convert_to(users.password_hash, 'UTF8'))
where findings.finding in ('default', 'common')
    and users.status <> 'deactivated'
