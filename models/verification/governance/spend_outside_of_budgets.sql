-- one row per running budget of what also spends in other currencies
select
    format('budget of %s %s', periods.target_kind, coalesce(min(teams.slug), periods.target)) as subject,
    format(
        'It is in %s; what was spent in %s since %s is not part of it.',
        periods.currency,
        string_agg(distinct spending.currency, ' and ' order by spending.currency),
        periods.period_start
    ) as message,
    'Give it a budget in that currency too, or have the source bill in one currency; nothing is converted.' as fix
from {{ ref('stg_budget_periods') }} as periods
inner join {{ ref('stg_budget_days') }} as spending
    on spending.target_kind = periods.target_kind and spending.target = periods.target
        and spending.day >= periods.period_start and spending.day < periods.period_end
        and spending.currency <> periods.currency
left join {{ ref('teams') }} as teams on periods.target_kind = 'team' and teams.id::text = periods.target
where periods.ends_at > now()
    and not exists (
        select from {{ ref('stg_budget_periods') }} as others
        where others.target_kind = periods.target_kind and others.target = periods.target
            and others.currency = spending.currency and others.ends_at > now()
    )
group by periods.target_kind, periods.target, periods.currency, periods.period, periods.period_start
