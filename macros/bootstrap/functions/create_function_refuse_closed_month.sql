{# Charges of a closed month are final, so an adjustment counts in an open one; and finance adjusts teams that are there. #}
{% macro create_function_refuse_closed_month() %}
create or replace function internal.refuse_closed_month() returns trigger
-- who may enter an adjustment need not read what is closed
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    last_closed date;
begin
    if new.kind = 'entered' and new.team_id is not null and not exists (select from core.teams where id = new.team_id) then
        raise exception 'cost_adjustments: there is no team %', new.team_id using errcode = 'foreign_key_violation';
    end if;
    -- before the first build has made it, nothing is closed
    if to_regclass('core.closed_periods') is not null then
        select max(month) into last_closed from core.closed_periods;
        if new.month <= last_closed then
            raise exception 'cost_adjustments: % is closed; give % or a later month, and % as corrects_month',
                to_char(new.month, 'YYYY-MM'), to_char(last_closed + interval '1 month', 'YYYY-MM'), to_char(new.month, 'YYYY-MM')
                using errcode = 'restrict_violation';
        end if;
    end if;
    return new;
end $f$;
comment on function internal.refuse_closed_month() is 'Trigger: an adjustment counts in a month that is open; one that is entered names a team that is there.';
revoke execute on function internal.refuse_closed_month() from public;
{% endmacro %}
