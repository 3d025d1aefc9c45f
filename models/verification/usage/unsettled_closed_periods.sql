-- one row per closed month and currency whose later changes are not all adjusted
select
    concat_ws(', ', to_char(month, 'YYYY-MM'), currency) as subject,
    format(
        'What is known of %s now differs from what was closed and adjusted by %s %s, in %s %s.',
        to_char(month, 'YYYY-MM'),
        trim_scale(sum(difference)),
        currency,
        count(*),
        case when count(*) = 1 then 'figure' else 'figures' end
    ) as message,
    'Run `governance refresh`, which writes the difference as adjustments of the month that is open.' as fix
from {{ ref('period_totals') }}
where difference <> 0
group by month, currency
