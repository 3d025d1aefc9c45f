{#
    The limit of a team is in its row; the limits it had are in core.team_budgets. The default team is written before that
    table is there: its model takes over the limits of the teams it finds.
#}
{% macro create_function_record_team_budget() %}
create or replace function internal.record_team_budget() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    began timestamptz := now();
    open_limit record;
begin
    if to_regclass('core.team_budgets') is null then
        return null;
    end if;
    if tg_op = 'UPDATE' and (old.budget_amount, old.budget_period, old.currency, old.deleted_at is null)
        is not distinct from (new.budget_amount, new.budget_period, new.currency, new.deleted_at is null)
    then
        return null;
    end if;
    if tg_op = 'INSERT' then
        began := least(began, new.created_at);
    end if;
    select b.* into open_limit
    from core.team_budgets as b
    where b.team_id = new.id and b.valid_to is null
    for update;
    if found then
        began := greatest(began, open_limit.valid_from);
        update core.team_budgets set valid_to = began where id = open_limit.id;
    end if;
    -- a limit from before its constraint is told by the rule unvalidated_constraints, and is none here
    if new.budget_amount >= 0 and new.budget_amount < 1e15 and min_scale(new.budget_amount) <= 40
        and (new.deleted_at is null or tg_op = 'INSERT' and new.deleted_at > began)
    then
        insert into core.team_budgets (team_id, amount, currency, period, valid_from, valid_to)
        values (new.id, new.budget_amount, new.currency, new.budget_period, began, new.deleted_at);
    end if;
    return null;
end $f$;
comment on function internal.record_team_budget() is
    'Trigger of teams: keeps each limit a team had in core.team_budgets, from when to when and who set it.';
revoke execute on function internal.record_team_budget() from public;
{% endmacro %}
