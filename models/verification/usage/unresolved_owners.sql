-- one row per name of a source that recent usage lacks an owner for
with recent as (
    select source, unresolved, currency, request_count, cost_amount
    from {{ ref('llm_unresolved_daily') }}
    where bucket >= now() - interval '{{ var("usage_window") }}'
),

by_currency as (
    select
        recent.source,
        names.kind,
        names.said ->> 0 as external_id,
        max(names.said ->> 1) as reason,
        recent.currency,
        sum(recent.request_count) as requests,
        sum(recent.cost_amount) as cost
    from recent
    cross join lateral jsonb_each(recent.unresolved) as names (kind, said)
    group by recent.source, names.kind, names.said ->> 0, recent.currency
),

named as (
    select
        source,
        kind,
        external_id,
        -- of several the one that asks most: unknown, in several teams, in no team, ambiguous
        max(reason) as reason,
        sum(requests) as requests,
        coalesce(
            string_agg(format('%s %s', trim_scale(cost), currency), ', ' order by currency)
            filter (where cost is not null),
            'nothing that has a price'
        ) as cost
    from by_currency
    group by source, kind, external_id
)

select
    format('%s of %s: %s', kind, coalesce(source, 'no source'), external_id) as subject,
    format(
        '%s of the last {{ var("usage_window") }}, %s, %s an owner: the %s %s.',
        {{ counted('requests', 'request', 'requests') }},
        cost,
        case requests when 1 then 'lacks' else 'lack' end,
        replace(kind, '_', ' '),
        case reason
            when 'in no team' then 'was in no team then'
            when 'in several teams' then 'was in several teams then, and the source names none'
            when 'ambiguous' then 'may be one of several of that name'
            else 'is known to nobody'
        end
    ) as message,
    case
        when reason in ('in no team', 'in several teams')
            then 'Have the source name the team, or correct core.team_members; then `governance identities resolve`.'
        else
            format(
                'Say who it is: `governance identities resolve %s %s %s --user EMAIL`, --team SLUG or --key PREFIX.',
                {{ shell_word('source') }},
                kind,
                {{ shell_word('external_id') }}
            )
    end as fix
from named
