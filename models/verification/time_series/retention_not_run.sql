-- one row per time-series table whose rows past retention nothing has looked for lately
select
    format('core.%s', series.name) as subject,
    case
        when series.dropped_before > '-infinity'
            then format(
                    'What is past its retention was last dropped on %s.',
                    to_char((series.dropped_before + settings.value::interval) at time zone 'UTC', 'YYYY-MM-DD')
                )
        else format(
                'What is past its retention was never dropped, and the warehouse is here since %s.',
                to_char(built.since at time zone 'UTC', 'YYYY-MM-DD')
            )
    end as message,
    'Run `governance retain` once, and by a schedule each day; in Dagster see why retention_job did not run.' as fix
from internal.time_series as series
inner join internal.settings as settings on settings.name = series.name || '_retention'
cross join (select min(applied_at) as since from internal.schema_changes) as built
where greatest(series.dropped_before + settings.value::interval, built.since)
    < now() - interval '{{ var("retention_grace") }}' - interval '1 day'
    -- where a background policy does it, its job is looked at (failing_jobs)
    and not exists (
        select from ({{ time_series_policies() }}) as policies
        where policies.policy = 'retention'
            and policies.target = format('core.%s', series.name)
            and policies.last_run_status = 'Success'
            and policies.last_run_started_at > now() - interval '{{ var("retention_grace") }}' - interval '1 day'
    )
