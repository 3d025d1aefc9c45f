{# What a limit is, of whatever it limits. #}
{% macro budget_columns(table) %}
    -- NaN and Infinity are not below it either
    amount numeric not null constraint {{ table }}_amount_check
        check (amount >= 0 and amount < 1e15 and min_scale(amount) <= 40),
    currency text not null constraint {{ table }}_currency_check check (currency ~ '^[A-Z]{3}$'),
    period text not null constraint {{ table }}_period_check check (period in ('day', 'month', 'quarter', 'year')),
    valid_from timestamptz not null default now() constraint {{ table }}_valid_from_check check (isfinite(valid_from)),
    valid_to timestamptz,
    -- as the audit trail names them: no foreign key
    set_by uuid default {{ acting_user() }},
    set_by_label text default coalesce(nullif(current_setting('governance.actor_label', true), ''), session_user::text),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- a limit that another replaced within one transaction never held
    constraint {{ table }}_valid_to_check check (valid_to >= valid_from and isfinite(valid_to))
{%- endmacro %}

{# Who acts, as the application said; what is no uuid the trigger of the audit trail refuses, which says so. #}
{% macro acting_user() -%}
case
        when current_setting('governance.actor_id', true) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            then current_setting('governance.actor_id', true)::uuid
    end
{%- endmacro %}
