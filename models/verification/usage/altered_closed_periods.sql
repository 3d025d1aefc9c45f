-- one row per closed month whose figures are not those that were closed
select
    to_char(periods.month, 'YYYY-MM') as subject,
    format(
        'The figures of %s, closed on %s by %s, are not those that its fingerprint was made of.',
        to_char(periods.month, 'YYYY-MM'),
        to_char(periods.closed_at at time zone 'UTC', 'YYYY-MM-DD'),
        periods.closed_by
    ) as message,
    'Compare core.closed_totals with a backup from before, and find out who could write past the triggers.' as fix
from {{ ref('closed_periods') }} as periods
left join {{ ref('closed_totals') }} as totals on totals.month = periods.month
group by periods.month, periods.closed_at, periods.closed_by, periods.fingerprint
having periods.fingerprint
    <> {{ fingerprint_of_totals('totals') }}
