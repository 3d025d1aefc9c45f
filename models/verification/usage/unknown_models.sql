-- one row per provider and model that recent usage names and no rule of names knows
select
    format('%s/%s', names.provider, names.model) as subject,
    format(
        '%s requests of the last {{ var("usage_window") }} are of a %s that no rule knows, so reports show it as it came.',
        sum(usage.request_count),
        case when names.provider_origin like 'as said%' then 'provider' else 'model' end
    ) as message,
    case
        when names.provider_origin like 'as said%'
            then format(
                'Say who it is: `governance models alias-provider %s NAME`; if that is its own name, give it twice.',
                to_json(names.provider)
            )
        else format(
            'Say what it is: `governance models alias --provider %s %s NAME`; if that is its own name, give it twice.',
            to_json(names.canonical_provider),
            to_json(names.model)
        )
    end as fix
from {{ ref('llm_team_daily') }} as usage
inner join internal.model_names as names on names.provider = usage.provider and names.model = usage.model
where usage.bucket >= now() - interval '{{ var("usage_window") }}' and not names.is_known
group by names.provider, names.model, names.canonical_provider, names.provider_origin
