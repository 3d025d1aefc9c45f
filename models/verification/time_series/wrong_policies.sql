-- one row per background policy that is missing, paused or set otherwise
select
    format('%s of %s', policies.policy, policies.target) as subject,
    case
        when policies.job_id is null then 'There is no such policy.'
        when not policies.is_scheduled then 'The policy is paused.'
        when not policies.config @> policies.wanted_config
            then format('It is set to %s, the project says %s.', policies.config, policies.wanted_config)
        else format('It runs every %s, the project says %s.', policies.every, policies.wanted_every)
    end as message,
    case
        when not policies.is_scheduled then format('Run `select alter_job(%s, scheduled => true)`.', policies.job_id)
        else format(
                'Delete the row %s of internal.schema_objects and run `governance build`, or change the var.',
                policies.target
            )
    end as fix
from ({{ time_series_policies() }}) as policies
where policies.job_id is null
    or not policies.is_scheduled
    or not policies.config @> policies.wanted_config
    or policies.every <> policies.wanted_every
union all
select
    format('refresh policy of %s', policies.target),
    'It is a policy of TimescaleDB, which erases buckets whose raw rows were dropped.',
    format('Run `select delete_job(%s)`; the background job of the rollup refreshes it.', policies.job_id)
from ({{ erasing_policies() }}) as policies
