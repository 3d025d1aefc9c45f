-- one row per provider and model that recent usage names and no rule of names knows
with unknown as (
    select
        names.provider,
        names.model,
        names.canonical_provider,
        names.provider_origin like 'as said%' as is_by_provider,
        sum(usage.request_count) as requests
    from {{ ref('llm_team_daily') }} as usage
    inner join internal.model_names as names on names.provider = usage.provider and names.model = usage.model
    where usage.bucket >= now() - interval '{{ var("usage_window") }}' and not names.is_known
    group by names.provider, names.model, names.canonical_provider, names.provider_origin
)

select
    format('%s/%s', provider, model) as subject,
    format(
        '%s of a %s that no rule knows, so reports show it as it came.',
        {{ counted(
            'requests',
            'request of the last ' ~ var('usage_window') ~ ' is',
            'requests of the last ' ~ var('usage_window') ~ ' are'
        ) }},
        case when is_by_provider then 'provider' else 'model' end
    ) as message,
    format(
        'Say %s it is: `governance models %s NAME`; if that is its own name, give it twice.',
        case when is_by_provider then 'who' else 'what' end,
        case
            when is_by_provider then format('alias-provider %s', {{ shell_word('provider') }})
            else
                format('alias --provider %s %s', {{ shell_word('canonical_provider') }}, {{ shell_word('model') }})
        end
    ) as fix
from unknown
