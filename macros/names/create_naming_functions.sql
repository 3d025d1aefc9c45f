{#
    One name for each provider and model, by the rules of the seeds and of core.name_aliases; docs/models.md explains them.
    A name is looked up again until no rule changes it, so what comes out always stands for itself.
#}
{% macro create_naming_functions() %}
create or replace function internal.name_rules()
returns table (
    place bigint, kind text, providers text[], match text, said text, canonical text, is_name boolean, origin text
)
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select
        -- the first that matches counts: your own, then by priority, then the more exact, then the longer
        row_number() over (
            order by
                is_own desc, priority, array_position(array['exact', 'prefix', 'pattern'], match), length(said) desc,
                providers = '*', kind, providers collate "C", said collate "C"
        ),
        kind,
        case when providers <> '*' then string_to_array(providers, ' ') end,
        match,
        case
            when match = 'pattern' then '^(?:' || said || ')$'
            when kind = 'provider' then {{ provider_key('said') }}
            else {{ model_key('said') }}
        end,
        canonical,
        is_name,
        case when is_own then 'your own ' || said else rule end
    from (
        select null as rule, kind, provider as providers, match, said, canonical, true as is_name, priority, true as is_own
        from core.name_aliases
        union all
        select said, 'provider', '*', match, said, provider, true, priority, false
        from seeds.provider_aliases
        union all
        select rule, 'model', providers, match, said, model, kind = 'name', priority, false
        from seeds.model_aliases
    ) as rules
$f$;
comment on function internal.name_rules() is 'Every rule of names, the one that is asked first at the first place; said is what a name is compared with.';

{#- rules come first in the joins: a pattern is then compiled once, not once for each name #}
create or replace function internal.resolve_names(said_providers text[], said_models text[])
returns table (
    provider text, model text, canonical_provider text, canonical_model text, base_model text,
    provider_origin text, origin text, is_known boolean
)
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    with recursive rules as materialized (
        select * from internal.name_rules()
    ),
    said as materialized (
        select distinct s.provider, s.model from unnest(said_providers, said_models) as s (provider, model)
    ),
    provider_steps as (
        select distinct provider, provider as name, '{}'::text[] as origins, false as is_known, false as is_last, 0 as step
        from said
        union all
        select provider, next_name, origins || origin, is_known or is_name, next_name = name, step + 1
        from (
            select distinct on (s.provider)
                s.provider, s.name, s.origins, s.is_known, s.step, r.origin, r.is_name, n.next_name
            from rules as r
            cross join lateral (
                select p.*
                from provider_steps as p
                where not p.is_last and p.step < 10 and {{ rule_matches(provider_key('p.name')) }}
            ) as s
            cross join lateral (select r.canonical) as n (next_name)
            where r.kind = 'provider'
            order by s.provider, r.place
        ) as steps
    ),
    providers as (
        select distinct on (provider)
            provider,
            case when step < 10 or is_last then name else provider end as canonical_provider,
            case
                when step = 0 then 'as said'
                -- without the rule by which the name stands for itself
                when step < 10 or is_last then array_to_string(origins[: greatest(step - is_last::integer, 1)], ', then ')
                else 'as said, for rules lead in a circle'
            end as provider_origin,
            is_known and (step < 10 or is_last) as is_known
        from provider_steps
        order by provider, step desc
    ),
    model_steps as (
        select
            said.provider, said.model, p.canonical_provider,
            said.model as name, '{}'::text[] as origins, false as is_known, false as is_last, 0 as step
        from said
        inner join providers as p on p.provider = said.provider
        union all
        select
            provider, model, canonical_provider, next_name,
            case when origins[cardinality(origins)] = origin then origins else origins || origin end,
            is_known or is_name, next_name = name, step + 1
        from (
            select distinct on (s.provider, s.model)
                s.provider, s.model, s.canonical_provider, s.name, s.origins, s.is_known, s.step, r.origin, r.is_name, n.next_name
            from rules as r
            cross join lateral (
                select m.*, part.is_whole, part.variant, part.looked_up
                from model_steps as m
                cross join lateral (
                    values
                    (true, '', m.name),
                    (false, substring(m.name from '^(?:ft:|global[.]|regional[.]|in-region[.])+'), regexp_replace(m.name, '^(?:ft:|global[.]|regional[.]|in-region[.])+', ''))
                ) as part (is_whole, variant, looked_up)
                where not m.is_last and m.step < 10 and part.variant is not null
                    and (r.providers is null or m.canonical_provider = any (r.providers))
                    and {{ rule_matches(model_key('part.looked_up')) }}
            ) as s
            cross join lateral (
                select s.variant || case r.match
                    -- what is only written in another way keeps its case, as it does without a rule
                    when 'pattern' then regexp_replace(
                        case when r.is_name then {{ model_key('s.looked_up') }} else btrim(s.looked_up) end, r.said, r.canonical, 'i'
                    )
                    else r.canonical
                end
            ) as n (next_name)
            where r.kind = 'model' and n.next_name <> s.variant
            order by s.provider, s.model, not s.is_whole, r.place
        ) as steps
    ),
    models as (
        select distinct on (provider, model)
            provider,
            model,
            case when step < 10 or is_last then name else model end as canonical_model,
            case
                when step = 0 then 'as said'
                when step < 10 or is_last then array_to_string(origins, ', then ')
                else 'as said, for rules lead in a circle'
            end as origin,
            is_known and (step < 10 or is_last) as is_known
        from model_steps
        order by provider, model, step desc
    )
    select
        m.provider,
        m.model,
        p.canonical_provider,
        m.canonical_model,
        case when m.origin not like 'as said%' then substring(m.canonical_model from '^(?:ft:|global[.]|regional[.]|in-region[.])+(.+)$') end,
        p.provider_origin,
        m.origin,
        p.is_known and m.is_known
    from models as m
    inner join providers as p on p.provider = m.provider
$f$;
comment on function internal.resolve_names(text[], text[]) is
    'The names of pairs of a provider and a model, given as two arrays of one length: one row for each distinct pair, always. Looks at the rules, at no usage.';

create or replace function internal.name_models(said_providers text[], said_models text[]) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    checksum text;
    named bigint;
begin
    if to_regclass('seeds.model_aliases') is null or to_regclass('core.name_aliases') is null then
        return 0;  -- a first build is half done
    end if;
    checksum := internal.name_rules_checksum();
    insert into internal.model_names (
        provider, model, canonical_provider, canonical_model, base_model, provider_origin, origin, is_known, rules
    )
    select r.*, checksum
    from internal.resolve_names(said_providers, said_models) as r
    on conflict do nothing;
    get diagnostics named = row_count;
    return named;
end $f$;
comment on function internal.name_models(text[], text[]) is 'Names pairs of a provider and a model that have no name yet; returns how many.';
revoke all on function internal.name_models(text[], text[]) from public;

create or replace function internal.name_rules_checksum() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select coalesce(md5(string_agg(r::text, e'\n' order by r.place)), '') from internal.name_rules() as r
$f$;
comment on function internal.name_rules_checksum() is 'Tells whether a rule of names has changed.';

create or replace function internal.refresh_model_names() returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    checksum text;
    renamed bigint := 0;
begin
    if to_regclass('seeds.model_aliases') is null or to_regclass('core.name_aliases') is null
        or to_regclass('rollups.llm_model_daily') is null then
        return 0;  -- a first build is half done
    end if;
    checksum := internal.name_rules_checksum();
    if exists (select from internal.model_names as n where n.rules <> checksum) then
        -- two at once would wait for each other's rows
        lock table internal.model_names in share row exclusive mode;
        with named as (
            select r.*
            from (select array_agg(n.provider) as providers, array_agg(n.model) as models from internal.model_names as n) as s
            cross join internal.resolve_names(s.providers, s.models) as r
        ),
        changed as (
            update internal.model_names as n
            set
                canonical_provider = r.canonical_provider,
                canonical_model = r.canonical_model,
                base_model = r.base_model,
                provider_origin = r.provider_origin,
                origin = r.origin,
                is_known = r.is_known,
                named_at = now()
            from named as r
            where n.provider = r.provider and n.model = r.model
                and (n.canonical_provider, n.canonical_model, n.base_model, n.provider_origin, n.origin, n.is_known)
                    is distinct from (r.canonical_provider, r.canonical_model, r.base_model, r.provider_origin, r.origin, r.is_known)
            returning 1
        )
        select count(*) into renamed from changed;
        update internal.model_names as n set rules = checksum where n.rules <> checksum;
    end if;
    return renamed + coalesce((
        select internal.name_models(array_agg(new.provider), array_agg(new.model))
        from (
            select u.provider, u.model from rollups.llm_model_daily as u
            except
            select n.provider, n.model from internal.model_names as n
        ) as new
        having count(*) > 0
    ), 0);
end $f$;
comment on function internal.refresh_model_names() is
    'Names what usage names and has no name yet, and names all anew where a rule has changed; returns how many names are new or others.';
revoke all on function internal.refresh_model_names() from public;
{% endmacro %}

{# A provider as its rules compare it: Azure.AI-OpenAI is azure_ai_openai. #}
{% macro provider_key(name) -%}
lower(regexp_replace(btrim({{ name }}), '[[:space:]._/-]+', '_', 'g') collate "C") collate "default"
{%- endmacro %}

{# A model as its rules compare it. #}
{% macro model_key(name) -%}
lower(btrim({{ name }}) collate "C") collate "default"
{%- endmacro %}

{# SQL condition that the rule r of internal.name_rules() is about a name; a pattern doesn't look at case. #}
{% macro rule_matches(name) -%}
case r.match when 'exact' then {{ name }} = r.said when 'prefix' then starts_with({{ name }}, r.said) else {{ name }} ~* r.said end
{%- endmacro %}
