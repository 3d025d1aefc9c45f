{#
    Gives pg_temp.price_keys the names by which prices know provider and model; what nobody has named yet, and a trial
    doesn't, is looked up. A model without a rule is what the source calls it.
#}
{% macro name_price_keys() %}
with named as (
    select distinct n.provider, n.model, n.canonical_provider, n.canonical_model
    from internal.model_names as n
    inner join pg_temp.price_keys as k on k.said_provider = n.provider and k.said_model = n.model
),
unnamed as (
    select array_agg(u.provider) as providers, array_agg(u.model) as models
    from (
        select said_provider as provider, said_model as model from pg_temp.price_keys
        except
        select provider, model from named
    ) as u
)
update pg_temp.price_keys as k
set provider = lower(n.canonical_provider collate "C"), model = n.canonical_model
from (
    select provider, model, canonical_provider, canonical_model from named
    union all
    select r.provider, r.model, r.canonical_provider, r.canonical_model
    from unnamed as u
    cross join lateral internal.resolve_names(u.providers, u.models) as r
    where u.providers is not null
) as n
where n.provider = k.said_provider and n.model = k.said_model
{%- endmacro %}
