-- one row per time zone of the reports: there is one
select
    '{{ var("reporting_timezone") }}'::text as zone,
    ({{ reporting_now() }} at time zone '{{ var("reporting_timezone") }}')::date as today
