-- one row per finding from when it appeared to when it was gone
with changes as (
    select
        findings.*,
        runs.ended_at,
        count(*) filter (where findings.is_resolved) over (
            partition by findings.rule, findings.subject
            order by findings.id
            rows between unbounded preceding and 1 preceding
        ) as episode
    from internal.verification_findings as findings
    inner join internal.verification_runs as runs on runs.id = findings.run
),

episodes as (
    select
        rule,
        subject,
        (array_agg(severity order by id desc))[1] as severity,
        (array_agg(message order by id desc))[1] as message,
        (array_agg(fix order by id desc))[1] as fix,
        (array_agg(accepted_by order by id desc))[1] as accepted_by,
        min(ended_at) as first_seen,
        max(ended_at) filter (where is_resolved) as resolved_at,
        max(run) filter (where is_resolved) as resolving_run,
        max(ended_at) filter (where not is_resolved) as changed_at,
        max(run) filter (where not is_resolved) as changing_run
    from changes
    group by rule, subject, episode
)

select
    episodes.rule,
    episodes.subject,
    episodes.severity,
    episodes.message,
    episodes.fix,
    episodes.first_seen,
    greatest(seen.ended_at, episodes.changed_at) as last_seen,
    episodes.resolved_at,
    episodes.accepted_by,
    greatest(seen.id, episodes.changing_run) as run
from episodes
-- a run that asks a rule and changes nothing found the same again
left join lateral (
    select
        runs.id,
        runs.ended_at
    from internal.verification_runs as runs
    where runs.answered @> array[episodes.rule]
        and (episodes.resolving_run is null or runs.id < episodes.resolving_run)
    order by runs.id desc
    limit 1
) as seen on true
