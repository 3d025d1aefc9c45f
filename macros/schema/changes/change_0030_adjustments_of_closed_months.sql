{# What changed in a closed month is written as adjustments by the warehouse itself; usage names teams without a foreign key. #}
{% macro change_0030_adjustments_of_closed_months() %}
alter table if exists core.cost_adjustments drop constraint if exists cost_adjustments_team_id_fkey;
alter table if exists core.cost_adjustments
    add column if not exists kind text not null default 'entered'
    constraint cost_adjustments_kind_check check (kind in ('entered', 'usage', 'shared_cost') and (kind = 'entered' or corrects_month is not null)),
    add column if not exists provider text,
    add column if not exists model text,
    add column if not exists causes jsonb
    constraint cost_adjustments_causes_check check (jsonb_typeof(causes) = 'object')
{% endmacro %}
