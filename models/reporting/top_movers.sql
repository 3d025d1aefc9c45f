-- one row per kind, thing of it and currency among those whose cost of seven days changed most
{% set week_ago = scalar_subquery(local_period_start('day', -7)) -%}
{% set kinds = {
    'team': ['llm_spend_daily', 'usage.team_id'],
    'user': ['llm_user_daily', 'usage.user_id'],
    'key': ['llm_key_daily', 'usage.api_key_id'],
    'application': ['llm_application_daily', 'usage.application'],
    'model': [
        'llm_model_daily',
        "(coalesce(names.canonical_provider, usage.provider) || '/' || coalesce(names.canonical_model, usage.model))",
    ],
} -%}
{% set is_recent = 'usage.bucket >= ' ~ week_ago -%}
with weeks as (
    {%- for kind, source in kinds.items() %}
    select
        '{{ kind }}' as kind,
        {{ source[1] }}::text as id,
        usage.currency,
        {{ sum_cost_where('usage.cost_amount', is_recent) }} as cost,
        {{ sum_cost_where('usage.cost_amount', 'not ' ~ is_recent) }} as cost_before,
        coalesce(sum(usage.request_count) filter (where {{ is_recent }}), 0)::bigint as requests,
        coalesce(sum(usage.request_count) filter (where not {{ is_recent }}), 0)::bigint as requests_before,
        sum(usage.unpriced_request_count)::bigint as unpriced_requests
    from {{ ref(source[0]) }} as usage
    {% if kind == 'model' -%}
    left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
    {% endif -%}
    where usage.bucket >= {{ local_period_start('day', -14) }} and usage.bucket < {{ local_period_start('day') }}
    group by {{ source[1] }}, usage.currency
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

ranked as (
    select
        weeks.*,
        weeks.cost - weeks.cost_before as change,
        row_number() over (
            partition by weeks.kind, weeks.currency
            order by abs(weeks.cost - weeks.cost_before) desc nulls last, weeks.id
        ) as rank
    from weeks
)

select
    ranked.kind,
    ranked.rank,
    ranked.id,
    coalesce(teams.name, users.email, keys.name, ranked.id) as name,
    ranked.currency,
    ranked.cost,
    ranked.cost_before,
    ranked.change,
    trim_scale(ranked.change / nullif(ranked.cost_before, 0)) as change_share,
    ranked.requests,
    ranked.requests_before,
    ranked.unpriced_requests
from ranked
left join {{ ref('teams') }} as teams on ranked.kind = 'team' and teams.id::text = ranked.id
left join {{ ref('stg_users') }} as users on ranked.kind = 'user' and users.user_id::text = ranked.id
left join {{ ref('api_keys') }} as keys on ranked.kind = 'key' and keys.id::text = ranked.id
where ranked.rank <= {{ var('top_movers') }}
