-- one row per background policy whose last run failed or is long ago, or that never ran
select
    format('%s of %s', policies.policy, policies.target) as subject,
    case
        when policies.last_run_status = 'Failed' and policies.could_not_start
            then format('Job %s could not start, for no background worker was free.', policies.job_id)
        when policies.last_run_status = 'Failed'
            then format(
                    'Job %s failed at its last run, %s in all.',
                    policies.job_id,
                    {{ counted('policies.total_failures', 'time', 'times') }}
                )
        when policies.has_run
            then format(
                    'Job %s should run every %s and has not since %s.',
                    policies.job_id,
                    policies.every,
                    to_char(policies.waits_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                )
        else format(
                'Job %s should run every %s since %s and never did.',
                policies.job_id,
                policies.every,
                to_char(policies.waits_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            )
    end as message,
    case
        when policies.last_run_status = 'Failed' and not policies.could_not_start
            then format(
                    'See why (docs/rules/time_series.md says where), then `call run_job(%s)`.', policies.job_id
                )
        else concat(
                case
                    when not policies.could_not_start
                        then
                            'Run `select _timescaledb_functions.start_background_workers()` as a superuser,'
                            || ' for they may be stopped. '
                end,
                format(
                    'Where workers are too few: max_worker_processes is %s and should be %s more than'
                    || ' timescaledb.max_background_workers, which is %s; set them and restart the server.',
                    current_setting('max_worker_processes'),
                    current_setting('max_parallel_workers')::integer + 3,
                    current_setting('timescaledb.max_background_workers', true)
                )
            )
    end as fix
from ({{ time_series_policies() }}) as policies
where policies.last_run_status = 'Failed'
    or policies.is_scheduled and policies.waits_since < now() - 3 * policies.every - interval '1 hour'
