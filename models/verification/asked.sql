-- one row per rule that a recorded run of verification asked
select
    answered.rule,
    max(runs.ended_at) as last_asked
from internal.verification_runs as runs
cross join lateral unnest(runs.answered) as answered (rule)
group by answered.rule
