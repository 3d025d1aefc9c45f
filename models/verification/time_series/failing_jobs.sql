-- one row per background policy whose last run failed or is long ago, or that never ran
with policies as (
    {{ time_series_policies() }}
)

select
    format('%s of %s', policy, target) as subject,
    case
        when no_worker_since is not null
            then format(
                    'Job %s has found no free background worker since %s.',
                    job_id,
                    to_char(no_worker_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                )
        when last_run_status = 'Failed'
            then format(
                    'Job %s failed at its last run, %s in all.',
                    job_id,
                    {{ counted('total_failures', 'time', 'times') }}
                )
        else format(
                'Job %s should run every %s and has not since %s.',
                job_id,
                every,
                to_char(waits_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            )
    end as message,
    case
        when no_worker_since is not null then {{ number_of_workers() }}
        when last_run_status = 'Failed'
            then format('See why (docs/rules/time_series.md says where), then `call run_job(%s)`.', job_id)
        else concat({{ starting_of_workers() }}, {{ number_of_workers() }})
    end as fix
from policies
where case
        -- after a build, and each hour, many are due at once and take turns
        when no_worker_since is not null then no_worker_since < now() - interval '5 minutes'
        when last_run_status = 'Failed' then true
        else is_scheduled and waits_since < now() - 3 * every - interval '1 hour'
    end
