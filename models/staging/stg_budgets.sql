-- one row per limit that held for a time, of whatever it limits
select
    id as budget_id,
    'team' as target_kind,
    team_id::text as target,
    amount,
    currency,
    period,
    valid_from,
    valid_to,
    set_by,
    set_by_label
from {{ ref('team_budgets') }}
where valid_to is null or valid_to > valid_from
union all
select
    id,
    split_part(target, ' ', 1),
    substr(target, strpos(target, ' ') + 1),
    amount,
    currency,
    period,
    valid_from,
    valid_to,
    set_by,
    set_by_label
from {{ ref('budgets') }}
where valid_to is null or valid_to > valid_from
