-- one row per source and span of recent hours in which much less came than is usual
{%- set shown = "'YYYY-MM-DD HH24:MI'" %}
select
    format('%s from %s UTC', source, to_char(begins_at at time zone 'UTC', {{ shown }})) as subject,
    format(
        '%s of about %s usual requests came until %s UTC.',
        requests,
        usual_requests,
        to_char(ends_at at time zone 'UTC', {{ shown }})
    ) as message,
    'Find out whether nobody asked or the records were lost, and load what is missing; a holiday or an outage goes to '
    || 'seeds/verification_exceptions.csv.' as fix
from {{ ref('stg_source_gaps') }}
where not is_since_last
    -- one that began before the hours that are judged was shown when it was whole
    and begins_at > {{ local_period_start('hour') }} - interval '{{ var("gap_window") }}'
