{# Raw requests expire, so which one crossed a threshold is kept when it is found. #}
{% macro create_core_budget_crossings(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint budget_crossings_pkey primary key,
    team_budget_id uuid constraint budget_crossings_team_budget_id_fkey references {{ ref('team_budgets') }} (id) on delete cascade,
    budget_id uuid constraint budget_crossings_budget_id_fkey references {{ ref('budgets') }} (id) on delete cascade,
    period_starts_at timestamptz not null,
    period_ends_at timestamptz not null,
    threshold numeric not null constraint budget_crossings_threshold_check check (threshold in (0.5, 0.8, 1)),
    crossed_at timestamptz not null,
    crossed_by text not null constraint budget_crossings_crossed_by_check check (crossed_by in ('request', 'limit', 'day')),
    request_id text,
    request_cost numeric,
    spent numeric not null,
    found_at timestamptz not null default now(),
    constraint budget_crossings_target_check check (num_nonnulls(team_budget_id, budget_id) = 1),
    constraint budget_crossings_period_check check (period_starts_at < period_ends_at),
    constraint budget_crossings_request_check check (
        (crossed_by = 'request') = (request_id is not null) and (request_id is null) = (request_cost is null)
    ),
    constraint budget_crossings_team_budget_id_key unique (team_budget_id, period_starts_at, threshold),
    constraint budget_crossings_budget_id_key unique (budget_id, period_starts_at, threshold)
);
{{ create_rewrite_trigger(relation, [], 'what was crossed stays crossed') }}
{{ create_delete_triggers(relation, 'what was crossed stays crossed') }}
{{ comment_on_indexes(relation, {
    'budget_crossings_team_budget_id_key': 'A threshold of a team''s limit is crossed once in a period; foreign key to team_budgets.',
    'budget_crossings_budget_id_key': 'A threshold of any other limit is crossed once in a period; foreign key to budgets.',
}) }}
{% endmacro %}
