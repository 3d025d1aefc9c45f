{#
    What finance adds to a month or takes from it, and what changed in closed months. Of these the team is that of the usage,
    which has no foreign key; of those that are entered a trigger looks for it.
#}
{% macro create_core_cost_adjustments(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint cost_adjustments_pkey primary key,
    month date not null constraint cost_adjustments_month_check check (isfinite(month) and extract(day from month) = 1),
    team_id uuid,
    currency text not null constraint cost_adjustments_currency_check check (currency ~ '^[A-Z]{3}$'),
    amount numeric not null constraint cost_adjustments_amount_check
        check (amount > -1e15 and amount < 1e15 and amount <> 0 and min_scale(amount) <= 40),
    corrects_month date constraint cost_adjustments_corrects_month_check
        check (isfinite(corrects_month) and extract(day from corrects_month) = 1 and corrects_month <= month),
    reason text not null constraint cost_adjustments_reason_check check (internal.validate_text('cost_adjustments.reason', reason, 500)),
    created_by uuid default {{ acting_user() }},
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    kind text not null default 'entered' constraint cost_adjustments_kind_check
        check (kind in ('entered', 'usage', 'shared_cost') and (kind = 'entered' or corrects_month is not null)),
    provider text,
    model text,
    causes jsonb constraint cost_adjustments_causes_check check (jsonb_typeof(causes) = 'object')
);
create index if not exists cost_adjustments_team_id_idx on {{ relation }} (team_id);
create or replace trigger cost_adjustments_refuse_closed before insert on {{ relation }}
    for each row execute function internal.refuse_closed_month();
comment on trigger cost_adjustments_refuse_closed on {{ relation }} is 'Refuses an adjustment of a closed month and of a team that is not there.';
{{ create_updated_at_trigger(relation) }}
{{ create_rewrite_trigger(relation, [], 'add another adjustment with the difference') }}
{{ create_delete_triggers(relation, 'add another adjustment with the opposite amount') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'cost_adjustments_team_id_idx': 'Adjustments of one team.',
}) }}
{% endmacro %}
