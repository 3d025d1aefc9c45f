{# A row that is inserted is the limit from its valid_from on: the one before ends there, a later one stays. #}
{% macro create_function_supersede_budget() %}
create or replace function internal.supersede_budget() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    same_from timestamptz;
    next_from timestamptz;
    -- as the generated column, which is not there yet
    wanted constant text := coalesce(
        'user ' || new.user_id, 'key ' || new.api_key_id, 'application ' || new.application, 'cost_center ' || new.cost_center,
        'tag ' || new.tag_key || '=' || new.tag_value
    );
begin
    select
        min(valid_from) filter (where valid_from = new.valid_from),
        min(valid_from) filter (where valid_from > new.valid_from)
    into same_from, next_from
    from core.budgets as b
    where b.target = wanted and b.period = new.period and b.currency = new.currency
        and (b.valid_to is null or b.valid_to > b.valid_from);
    if same_from is not null then
        raise exception 'a budget of this target by % in % begins at % already; end it with valid_to, or let the new one begin later',
            new.period, new.currency, to_char(same_from at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
            using errcode = 'exclusion_violation', constraint = 'budgets_target_period_currency_excl';
    end if;
    new.valid_to := least(new.valid_to, next_from);
    update core.budgets as b
    set valid_to = new.valid_from
    where b.target = wanted and b.period = new.period and b.currency = new.currency
        and b.valid_from < new.valid_from and (b.valid_to is null or b.valid_to > new.valid_from);
    return new;
end $f$;
comment on function internal.supersede_budget() is
    'Trigger of budgets: a new limit ends the one before it of the same target, period and currency, and ends where a later one begins.';
revoke execute on function internal.supersede_budget() from public;
{% endmacro %}
