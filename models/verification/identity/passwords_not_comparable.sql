-- one row per account whose password can't be compared with well-known ones
select
    users.email as subject,
    case findings.finding
        when 'unreadable' then 'The stored hash has the shape of bcrypt and is none, so nobody can sign in with it.'
        else 'The stored hash has so high a cost that a comparison would take minutes or longer, as every sign-in does.'
    end as message,
    'Have the person set a new password; it is hashed at a cost of 12.' as fix
from {{ ref('users') }} as users
inner join internal.password_findings as findings
    on findings.user_id = users.id
        -- of another password than the present one a finding says nothing
        and findings.fingerprint = sha256(convert_to(users.password_hash, 'UTF8'))
where findings.finding in ('unreadable', 'costly')
    and users.status <> 'deactivated'
