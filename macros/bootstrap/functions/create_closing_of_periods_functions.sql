{#
    Months that are closed. internal.close_period keeps what a month came to; internal.settle_closed_periods brings what has
    changed since into the month that is open, so that closed + adjusted = what usage and shared costs say now.
#}
{% macro create_closing_of_periods_functions() %}
create or replace function internal.close_period(closing date, closed_by text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    zone constant text := (select value from internal.settings where name = 'reporting_timezone');
begin
    drop table if exists pg_temp.closing_totals;
    create temporary table closing_totals on commit drop as
    select month, kind, cost_center, team_id, team_path, provider, model, currency, requests, unpriced_requests, amount
    from reporting.period_totals
    where month = closing;

    insert into core.closed_periods (month, starts_at, ends_at, requests, unpriced_requests, totals, fingerprint, closed_by)
    select
        closing,
        closing::timestamp at time zone zone,
        (closing + interval '1 month') at time zone zone,
        coalesce(sum(t.requests), 0),
        coalesce(sum(t.unpriced_requests), 0),
        coalesce(
            (
                select jsonb_object_agg(c.currency, c.total)
                from (
                    select currency, trim_scale(coalesce(sum(amount), 0))::text as total from pg_temp.closing_totals group by 1
                ) as c
            ),
            '{}'
        ),
        {{ fingerprint_of_totals('t') }},
        close_period.closed_by
    from pg_temp.closing_totals as t;
    insert into core.closed_totals (
        month, kind, cost_center, team_id, team_path, provider, model, currency, requests, unpriced_requests, amount
    )
    select month, kind, cost_center, team_id, team_path, provider, model, currency, requests, unpriced_requests, amount
    from pg_temp.closing_totals;
end $f$;
comment on function internal.close_period(date, text) is
    'Closes a month: keeps its totals and their fingerprint. Whether it may be closed is for the caller to see, who holds the locks.';
revoke all on function internal.close_period(date, text) from public;

create or replace function internal.settle_closed_periods() returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    open_month date;
    written bigint;
begin
    if to_regclass('core.closed_periods') is null or to_regclass('reporting.period_totals') is null
        or not exists (select from core.closed_periods)
    then
        return 0;
    end if;
    -- one at a time, and no month is closed meanwhile
    lock table core.cost_adjustments in share row exclusive mode;
    select (max(month) + interval '1 month')::date into open_month from core.closed_periods;
    insert into core.cost_adjustments (
        month, team_id, currency, amount, corrects_month, reason, kind, provider, model, causes
    )
    select
        open_month, d.team_id, d.currency, d.difference, d.month,
        case d.kind
            when 'usage' then format('Usage of %s/%s in %s changed after the month was closed', d.provider, d.model, to_char(d.month, 'YYYY-MM'))
            else format('Shared costs of %s changed after the month was closed', to_char(d.month, 'YYYY-MM'))
        end,
        d.kind, d.provider, d.model,
        case when d.kind = 'usage' then internal.causes_of_difference(d.month, d.team_id, d.provider, d.model, d.currency) end
    from reporting.period_totals as d
    where d.month < open_month and d.difference <> 0;
    get diagnostics written = row_count;
    return written;
end $f$;
comment on function internal.settle_closed_periods() is
    'Writes what changed in closed months as adjustments of the month that is open; returns how many. Done twice it writes nothing.';
revoke all on function internal.settle_closed_periods() from public;

create or replace function internal.causes_of_difference(
    closed_month date, of_team uuid, of_provider text, of_model text, of_currency text
) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
    zone constant text := (select value from internal.settings where name = 'reporting_timezone');
    low constant timestamptz := closed_month::timestamp at time zone zone;
    high constant timestamptz := (closed_month + interval '1 month') at time zone zone;
    since constant timestamptz := coalesce(
        (
            select max(created_at)
            from core.cost_adjustments
            where kind = 'usage' and corrects_month = closed_month and team_id is not distinct from of_team
                and provider = of_provider and model = of_model and currency = of_currency
        ),
        (select closed_at from core.closed_periods where month = closed_month),
        '-infinity'
    );
    found jsonb;
begin
    -- bounds as literals, so that the planner leaves other partitions out
    execute format(
        $q$
        select jsonb_strip_nulls(jsonb_build_object(
            'revisions', (
                select jsonb_agg(distinct r.revision_id)
                from core.price_revision_rows as r
                where r.revision_id in (select id from core.price_revisions where finished_at is null or finished_at > %3$L)
                    and r.changed_at > %3$L and r.time >= %1$L and r.time < %2$L and r.provider = %4$L and r.model = %5$L
            ),
            'loads', (
                select jsonb_agg(distinct b.load_id)
                from internal.load_batches as b
                where b.ingested_at > %3$L and b.oldest < %2$L and b.newest >= %1$L and exists (
                    select from core.llm_metrics as m
                    where m.time >= %1$L and m.time < %2$L and m.ingested_at = b.ingested_at and m.provider = %4$L
                        and m.model = %5$L and m.team_id is not distinct from %6$L::uuid
                )
            ),
            'corrections', (
                select jsonb_agg(distinct b.load_id)
                from internal.changed_requests as c
                inner join internal.load_batches as b on b.ingested_at = c.changed_at
                where c.decision = 'replaced' and c.changed_at > %3$L and c.time >= %1$L and c.time < %2$L
            ),
            'undone_loads', (
                select jsonb_agg(distinct l.id)
                from internal.loads as l
                inner join internal.load_batches as b on b.load_id = l.id
                -- which requests it had corrected is not kept when it is taken back
                where l.undone_at > %3$L and (b.oldest < %2$L and b.newest >= %1$L or b.changed > 0)
            )
        ))
        $q$,
        low, high, since, of_provider, of_model, of_team
    ) into found;
    return found;
end $f$;
comment on function internal.causes_of_difference(date, uuid, text, text, text) is
    'Which repricings and loads touched usage of a closed month since it was closed or last adjusted, as far as raw rows tell.';
revoke all on function internal.causes_of_difference(date, uuid, text, text, text) from public;
{% endmacro %}
