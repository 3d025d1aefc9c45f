-- one row per accepted violation
select
    rule,
    subject,
    reason,
    expires_on
from {{ ref('verification_exceptions') }}
where expires_on >= (now() at time zone '{{ var("reporting_timezone") }}')::date
    and btrim(reason) <> ''
