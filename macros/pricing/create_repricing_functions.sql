{#
    Requests costed anew by the prices of today. internal.begin_repricing fills pg_temp.repriced with the requests of a span
    whose figures would change; internal.reprice writes them and keeps what they replace.
#}
{% macro create_repricing_functions() %}
create or replace function internal.begin_repricing(
    low timestamptz, high timestamptz, of_provider text, of_model text, only_unpriced boolean, keeps boolean
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    prefers_prices boolean := exists (select from internal.settings where name = 'cost_precedence' and value = 'prices');
    found bigint;
begin
    drop table if exists pg_temp.reprice_rows, pg_temp.repriced;
    -- bounds as literals, so that the planner leaves other partitions out
    execute format(
        $q$
        create temporary table reprice_rows as
        select
            row_number() over () as line, m.time, m.request_id, m.provider, m.model, m.service_tier, m.region, m.team_id, m.status,
            m.metadata -> 'units' as units, {% for column in token_classes() %}m.{{ column }}, {% endfor %}m.ingested_at,
            m.cost_amount, m.currency, m.cost_source, m.price_id, m.list_cost_amount, m.computed_cost_amount, m.source_cost_amount,
            case when m.price_id is null or m.computed_cost_amount is not null then m.cost_amount else m.source_cost_amount end as said
        from core.llm_metrics as m
        where m.time >= %1$L and m.time < %2$L
            and (%3$L is null or m.provider = %3$L) and (%4$L is null or m.model = %4$L)
            and (not %5$L or m.cost_source = 'unpriced')
            -- who names a price of their own has priced the request
            and (m.price_id is null or m.price_id in (select id from core.applied_prices))
        $q$,
        low, high, of_provider, of_model, only_unpriced
    );
    create temporary table repriced as
    select *
    from (
        select
            r.time, r.request_id, r.provider, r.model, r.ingested_at,
            r.cost_amount as old_cost_amount, r.currency as old_currency, r.cost_source as old_cost_source, r.price_id as old_price_id,
            r.list_cost_amount as old_list_cost_amount, r.computed_cost_amount as old_computed_cost_amount,
            r.source_cost_amount as old_source_cost_amount,
            case when o.ours then c.computed_cost else r.said end as new_cost_amount,
            case when o.ours then c.currency else r.currency end as new_currency,
            case
                when o.ours then case when c.is_estimate then 'estimated' else 'computed' end
                when r.said is null then 'unpriced'
                when r.price_id is null or r.computed_cost_amount is not null then r.cost_source
                else 'provider'
            end as new_cost_source,
            c.price_id as new_price_id,
            c.list_cost as new_list_cost_amount,
            case when not o.ours then c.computed_cost end as new_computed_cost_amount,
            case when o.ours then r.said end as new_source_cost_amount
        from pg_temp.reprice_rows as r
        left join internal.cost_requests(
            'select line, time, provider, model, service_tier, region, team_id, case when said is not null then currency end as currency,'
            ' status, units, {{ token_classes() | join(", ") }} from pg_temp.reprice_rows', keeps
        ) as c on c.line = r.line
        cross join lateral (select c.line is not null and (r.said is null or prefers_prices) as ours) as o
        offset 0
    ) as costed
    where ({% for column in repriced_columns() %}old_{{ column }}{{ ', ' if not loop.last }}{% endfor %})
        is distinct from ({% for column in repriced_columns() %}new_{{ column }}{{ ', ' if not loop.last }}{% endfor %});
    get diagnostics found = row_count;
    return found;
end $f$;
comment on function internal.begin_repricing(timestamptz, timestamptz, text, text, boolean, boolean) is
    'Fills pg_temp.repriced with the requests of a span that would cost something else by the prices of today; returns how many.';
revoke all on function internal.begin_repricing(timestamptz, timestamptz, text, text, boolean, boolean) from public;

create or replace function internal.reprice(revision bigint, low timestamptz, high timestamptz) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    changed bigint;
begin
    execute format(
        $q$
        with changed as (
            update core.llm_metrics as m
            set
                {%- for column in repriced_columns() + ['price_id'] %}
                {{ column }} = r.new_{{ column }}{{ ',' if not loop.last }}
                {%- endfor %}
            from pg_temp.repriced as r
            where m.time >= %1$L and m.time < %2$L and m.time = r.time and m.request_id = r.request_id
                and m.cost_amount is not distinct from r.old_cost_amount
            returning r.*
        ),
        kept as (
            insert into core.price_revision_rows (
                revision_id, time, request_id, provider, model
                {%- for age in ['old', 'new'] %}{% for column in repriced_columns() + ['price_id'] %}, {{ age }}_{{ column }}{% endfor %}{% endfor %}
            )
            select
                %3$L, time, request_id, provider, model
                {%- for age in ['old', 'new'] %}{% for column in repriced_columns() + ['price_id'] %}, {{ age }}_{{ column }}{% endfor %}{% endfor %}
            from changed
        ),
        -- what tells whether the rows of a load were changed by others
        loaded as (
            update internal.load_batches as b
            set cost_amount = b.cost_amount + d.difference
            from (
                select ingested_at, sum(coalesce(new_cost_amount, 0) - coalesce(old_cost_amount, 0)) as difference
                from changed group by ingested_at
            ) as d
            where b.ingested_at = d.ingested_at and b.loaded > 0
        )
        select count(*) from changed
        $q$,
        low, high, revision
    ) into changed;
    update core.price_revisions set done_before = high, requests = requests + changed where id = revision;
    return changed;
end $f$;
comment on function internal.reprice(bigint, timestamptz, timestamptz) is
    'Writes what pg_temp.repriced has of a span, and keeps the figures that it replaces; returns how many requests were changed.';
revoke all on function internal.reprice(bigint, timestamptz, timestamptz) from public;
{% endmacro %}

{# The figures that a repricing may change; where none does, a request keeps the prices that it was costed with. #}
{% macro repriced_columns() %}
    {{ return(['cost_amount', 'currency', 'cost_source', 'list_cost_amount', 'computed_cost_amount', 'source_cost_amount']) }}
{% endmacro %}
