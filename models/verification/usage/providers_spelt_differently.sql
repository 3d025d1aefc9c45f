-- one row per provider, or model of a provider, that the reports show in several spellings
with named as (
    select
        coalesce(names.canonical_provider, usage.provider) as provider,
        coalesce(names.canonical_model, usage.model) as model,
        usage.request_count
    from {{ ref('llm_team_daily') }} as usage
    left join internal.model_names as names on names.provider = usage.provider and names.model = usage.model
    where usage.bucket >= now() - interval '{{ var("usage_window") }}'
),

recent as (
    select
        provider,
        model,
        lower(regexp_replace(provider, '[[:space:]]', '', 'g')) as same_provider,
        lower(regexp_replace(model, '[[:space:]]', '', 'g')) as same_model,
        sum(request_count) as requests
    from named
    group by provider, model
),

used as (
    select 'provider' as kind, provider as name, same_provider, null as same_model, sum(requests) as requests
    from recent
    group by provider, same_provider
    union all
    select 'model', model, same_provider, same_model, sum(requests)
    from recent
    group by model, same_provider, same_model
)

select
    format('%s %s', kind, min(same_provider || coalesce('/' || same_model, ''))) as subject,
    format(
        'One %s is spelt in %s ways in the last {{ var("usage_window") }}: %s.',
        kind,
        count(*),
        string_agg(
            format('%s (%s)', to_json(name), {{ counted('requests', 'request', 'requests') }}), ', '
            order by requests desc, name collate "C"
        )
    ) as message,
    'Give them one name: `governance models alias` or `alias-provider` (docs/models.md).' as fix
from used
group by kind, same_provider, same_model
having count(*) > 1
