{#
    Finds which request crossed 50, 80 and 100 % of a limit, while raw rows are there, and keeps it in core.budget_crossings.
    By day the reports say it; the rows of that day say which request it was.
#}
{% macro create_budget_functions() %}
create or replace function internal.requests_of_budget(
    target_kind text, target text, spent_in text, low timestamptz, high timestamptz
)
returns table ("time" timestamptz, request_id text, cost numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
#variable_conflict use_column
declare
    teams uuid[];
begin
    if target_kind in ('team', 'cost_center') then
        with recursive tree as (
            select t.id, target_kind = 'team' and t.id::text = target as is_below, t.cost_center
            from core.teams as t
            where t.parent_team_id is null
            union all
            select t.id, tree.is_below or target_kind = 'team' and t.id::text = target, coalesce(t.cost_center, tree.cost_center)
            from tree
            inner join core.teams as t on t.parent_team_id = tree.id
        )
        select array_agg(tree.id) into teams
        from tree
        where tree.is_below or target_kind = 'cost_center' and tree.cost_center = target;
        return query
        select m.time, m.request_id, m.cost_amount
        from core.llm_metrics as m
        where m.time >= low and m.time < high and m.cost_amount > 0 and m.currency = spent_in and m.team_id = any (teams);
    elsif target_kind = 'tag' then
        -- what requests of the same values cost together is split, as the reports do: so they add up to what the day costs there
        return query
        select s.time, s.request_id, s.share - lag(s.share, 1, 0::numeric) over (partition by s.tag_key, s.said order by s.time, s.request_id)
        from (
            select
                m.time, m.request_id, keys.tag_key, given.said,
                internal.share_of_value(
                    sum(m.cost_amount) over (partition by keys.tag_key, given.said order by m.time, m.request_id),
                    each.tag_values, named.tag_value
                ) as share
            from (values {{ values_of_tag() }}) as keys (tag_key, path, flat_path)
            cross join lateral (select substr(target, length(keys.tag_key) + 2) as tag_value) as named
            cross join core.llm_metrics as m
            cross join lateral (
                select
                    jsonb_path_query_array({{ tags_of_cost('m.tags') }}, keys.path)
                    || coalesce(jsonb_path_query_array({{ tags_of_cost('m.tags') }}, keys.flat_path), '[]') as said
            ) as given
            cross join lateral ({{ list_tag_values('given.said') | indent(12) }}) as each
            where starts_with(target, keys.tag_key || '=')
                and m.time >= low and m.time < high and m.cost_amount > 0 and m.currency = spent_in
                and named.tag_value = any (each.tag_values)
        ) as s;
    else
        return query
        select m.time, m.request_id, m.cost_amount
        from core.llm_metrics as m
        where m.time >= low and m.time < high and m.cost_amount > 0 and m.currency = spent_in
            and case target_kind
                when 'user' then m.user_id::text = target
                when 'key' then m.api_key_id::text = target
                when 'application' then m.application = target
            end;
    end if;
end $f$;
comment on function internal.requests_of_budget(text, text, text, timestamptz, timestamptz) is
    'Priced requests of a span that count for what a budget limits, each with its cost or share.';
revoke execute on function internal.requests_of_budget(text, text, text, timestamptz, timestamptz) from public;

create or replace function internal.share_of_value(cost numeric, tag_values text[], wanted text) returns numeric
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select case
        when cardinality(tag_values) = 1 then cost
        {%- if var('tag_allocation') == 'split' %}
        else (internal.split_amount(cost, array_fill(1::numeric, array[cardinality(tag_values)])))[array_position(tag_values, wanted)]
        {%- else %}
        when tag_values[1] = wanted then cost
        else 0
        {%- endif %}
    end
$f$;
comment on function internal.share_of_value(numeric, text[], text) is 'What one of the values of a tag bears of a cost, by the var tag_allocation.';

create or replace function internal.find_budget_crossings() returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    zone constant text := (select value from internal.settings where name = 'reporting_timezone');
    since constant timestamptz := coalesce((select searched_at - interval '7 days' from internal.budget_searches), '-infinity');
    near record;
    low timestamptz;
    high timestamptz;
    crossed_at timestamptz;
    crossed_by text;
    request text;
    request_cost numeric;
    spent numeric;
    found_count bigint := 0;
begin
    if to_regclass('reporting.budget_status') is null or to_regclass('core.budget_crossings') is null then
        return 0;
    end if;
    for near in
        with limits as (
            select id, true as is_team, 'team' as target_kind, team_id::text as target, amount, currency, period, valid_from, valid_to
            from core.team_budgets
            union all
            select
                id, false, split_part(target, ' ', 1), substr(target, strpos(target, ' ') + 1), amount, currency, period, valid_from,
                valid_to
            from core.budgets
        ),
        statuses as (
            select
                s.*,
                s.period_start::timestamp at time zone zone as starts_at,
                s.period_end::timestamp at time zone zone as ends_at
            from reporting.budget_status as s
            where s.period_end::timestamp at time zone zone > since and s.spent > 0
        ),
        -- what was spent by the end of each day of the period
        running as (
            select
                s.budget_id,
                s.period_start,
                array_agg(coalesce(d.total, 0) order by d.place) as totals
            from statuses as s
            cross join lateral (
                select days.place, sum(days.cost) over (order by days.place) as total
                from unnest(s.daily_spend) with ordinality as days (cost, place)
            ) as d
            group by 1, 2
        )
        select
            l.*,
            t.threshold,
            l.amount * t.threshold as threshold_amount,
            s.starts_at,
            s.ends_at,
            s.period_start + d.place::integer - 1 as day,
            coalesce(r.totals[d.place - 1], 0) as before,
            d.total,
            (
                select max(days.total)
                from unnest(r.totals) with ordinality as days (total, place)
                where s.period_start + days.place::integer - 1 < (l.valid_from at time zone zone)::date
            ) as spent_on_days_before,
            -- of the limit that held until then
            case when l.valid_from > s.starts_at then p.amount * t.threshold end as former_amount
        from statuses as s
        inner join running as r on r.budget_id = s.budget_id and r.period_start = s.period_start
        inner join limits as l
            on l.target_kind = s.target_kind and l.target = s.target and l.period = s.period and l.currency = s.currency
            and tstzrange(l.valid_from, l.valid_to) && tstzrange(s.starts_at, s.ends_at)
        left join limits as p
            on p.target_kind = l.target_kind and p.target = l.target and p.period = l.period and p.currency = l.currency
            and p.valid_to = l.valid_from and p.valid_from < l.valid_from
        cross join (values (0.5), (0.8), (1)) as t (threshold)
        cross join lateral (
            select days.total, days.place
            from unnest(r.totals) with ordinality as days (total, place)
            where days.total > 0 and days.total >= l.amount * t.threshold
            order by days.place
            limit 1
        ) as d
        -- of nothing there is no half
        where (l.amount > 0 or t.threshold = 1)
            and (l.id, s.starts_at, t.threshold) not in (
                select coalesce(c.team_budget_id, c.budget_id), c.period_starts_at, c.threshold from core.budget_crossings as c
            )
    loop
        low := near.day::timestamp at time zone zone;
        high := (near.day + 1)::timestamp at time zone zone;
        continue when low >= near.valid_to;
        crossed_by := case when high > near.valid_from then 'day' else 'limit' end;
        if crossed_by = 'day' then
            select r.time, 'request', r.request_id, r.cost, r.total
            into crossed_at, crossed_by, request, request_cost, spent
            from (
                select q.time, q.request_id, q.cost, near.before + sum(q.cost) over (order by q.time, q.request_id) as total
                from internal.requests_of_budget(near.target_kind, near.target, near.currency, low, high) as q
            ) as r
            where r.total >= near.threshold_amount
            order by r.time, r.request_id
            limit 1;
            if not found then
                -- its raw rows are gone: the day is all that is known
                crossed_by := 'day';
                crossed_at := greatest(low, near.valid_from);
                spent := near.total;
            end if;
            continue when crossed_at >= near.valid_to;
            if crossed_at < near.valid_from then
                crossed_by := 'limit';
            end if;
        end if;
        if crossed_by <> 'request' then
            request := null;
            request_cost := null;
        end if;
        if crossed_by = 'limit' then
            -- it was set below what had been spent
            crossed_at := near.valid_from;
            select coalesce(near.spent_on_days_before, 0) + coalesce(sum(q.cost), 0)
            into spent
            from internal.requests_of_budget(
                near.target_kind, near.target, near.currency,
                date_trunc('day', near.valid_from, zone), near.valid_from
            ) as q;
            continue when near.former_amount <= spent;
        end if;
        insert into core.budget_crossings (
            team_budget_id, budget_id, period_starts_at, period_ends_at, threshold, crossed_at, crossed_by, request_id, request_cost, spent
        )
        values (
            case when near.is_team then near.id end, case when not near.is_team then near.id end, near.starts_at, near.ends_at,
            near.threshold, crossed_at, crossed_by, request, request_cost, spent
        )
        on conflict do nothing;
        found_count := found_count + found::integer;
    end loop;
    insert into internal.budget_searches (searched_at) values (now())
    on conflict (is_only) do update set searched_at = excluded.searched_at;
    return found_count;
end $f$;
comment on function internal.find_budget_crossings() is 'Keeps which request crossed 50, 80 and 100 % of a limit since the last search; returns how many were found.';
revoke execute on function internal.find_budget_crossings() from public;
{% endmacro %}
