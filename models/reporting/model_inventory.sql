-- one row per provider and model that was ever used
with used as (
    select
        provider,
        model,
        min(day) as first_day,
        max(day) as last_day,
        sum(request_count)::bigint as requests,
        sum(request_count) filter (where bucket >= {{ local_period_start('day', -29) }})::bigint as requests_30d,
        sum(unpriced_request_count)::bigint as unpriced_requests
    from {{ ref('llm_model_daily') }}
    group by provider, model
),

allowed as (
    select
        patterns.pattern,
        -- * stands for anything, all else for itself
        replace(regexp_replace(patterns.pattern, '([\\%_])', '\\\1', 'g'), '*', '%') as pattern_of_like
    from {{ ref('stg_policies') }} as in_force
    inner join {{ ref('policies') }} as policies on policies.id = in_force.policy_id
    cross join lateral jsonb_array_elements_text(policies.rules -> 'models') as patterns (pattern)
    where in_force.policy_type = 'model_allowlist' and in_force.state = 'in force'
)

select
    used.provider,
    used.model,
    used.first_day,
    used.last_day,
    used.requests,
    coalesce(used.requests_30d, 0) as requests_30d,
    used.unpriced_requests,
    case
        when (select count(*) from allowed) > 0 then exists (
                select from allowed
                where used.provider || '/' || used.model like allowed.pattern_of_like
                    or used.model like allowed.pattern_of_like
            )
    end as is_on_allowlist
from used
