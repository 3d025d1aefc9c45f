-- one row per recent day of a provider whose report or invoice says another cost than the requests
select
    format(
        '%s of %s, %s%s, in %s',
        source,
        provider,
        day,
        case when end_day > day + 1 then format(' to %s', end_day - 1) end,
        currency
    ) as subject,
    format(
        '%s: requests cost %s, it says %s%s.',
        initcap(left(status, 1)) || substr(status, 2),
        coalesce(trim_scale(coalesce(converted_cost, our_cost))::text, 'nothing'),
        coalesce(trim_scale(their_cost)::text, 'nothing'),
        case when explained_by is not null then format(' (%s)', explained_by) end
    ) as message,
    'Look at the days beside it with `governance reconcile provider`, load what is missing on either side and price'
    || ' what has no price; where it is right as it is, accept it.' as fix
from {{ ref('provider_reconciliation') }}
where status <> 'matched' and end_day >= (now() - interval '{{ var("usage_window") }}')::date
