-- one row per background policy whose last run failed or is long ago
select
    format('%s of %s', policies.policy, policies.target) as subject,
    case
        when
            policies.last_run_status = 'Failed'
            then format(
                    'Job %s failed at its last run, %s in all.',
                    policies.job_id,
                    {{ counted('policies.total_failures', 'time', 'times') }}
                )
        else format(
                'Job %s should run every %s and has not since %s.',
                policies.job_id,
                policies.every,
                to_char(policies.last_run_started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            )
    end as message,
    format('See why (docs/rules/time_series.md says where), then `call run_job(%s)`.', policies.job_id) as fix
from ({{ time_series_policies() }}) as policies
where policies.last_run_status = 'Failed'
    -- one that never ran began at -infinity
    or policies.last_run_started_at > '-infinity'
    and policies.last_run_started_at < now() - 3 * policies.every - interval '1 hour'
