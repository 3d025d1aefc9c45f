-- one row per accepted violation
select
    rule,
    subject,
    reason,
    expires_on,
    -- the one rule of matching: * stands for any text, everything else for itself
    translate(regexp_replace(subject, '([\\%_])', '\\\1', 'g'), '*', '%') as pattern
from {{ ref('verification_exceptions') }}
where expires_on >= (now() at time zone '{{ var("reporting_timezone") }}')::date
    and btrim(reason) <> ''
