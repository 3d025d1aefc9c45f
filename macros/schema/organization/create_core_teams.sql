{% macro create_core_teams(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint teams_pkey primary key,
    name text not null constraint teams_name_check check (internal.validate_text('teams.name', name, 200)),
    slug text not null constraint teams_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    description text constraint teams_description_check check (internal.validate_text('teams.description', description, 2000, true)),
    parent_team_id uuid constraint teams_parent_team_id_fkey references {{ relation }} (id) on delete restrict,
    owner_id uuid constraint teams_owner_id_fkey references {{ ref('users') }} (id) on delete set null,
    -- NaN and Infinity are not below it either
    budget_amount numeric constraint teams_budget_amount_check
        check (budget_amount >= 0 and budget_amount < 1e15 and min_scale(budget_amount) <= 40),
    budget_period text not null default 'month' constraint teams_budget_period_check
        check (budget_period in ('day', 'month', 'quarter', 'year')),
    currency text not null constraint teams_currency_check check (currency ~ '^[A-Z]{3}$'),
    cost_center text constraint teams_cost_center_check check (internal.validate_text('teams.cost_center', cost_center, 100)),
    created_at timestamptz not null default now() constraint teams_created_at_check check (isfinite(created_at)),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz constraint teams_deleted_at_check check (isfinite(deleted_at)),
    constraint teams_slug_key unique (slug)
);
alter table {{ relation }} alter column currency set default '{{ var("default_currency") }}';
create index if not exists teams_parent_team_id_idx on {{ relation }} (parent_team_id);
create index if not exists teams_owner_id_idx on {{ relation }} (owner_id);
create index if not exists teams_cost_center_idx on {{ relation }} (cost_center);
{{ create_updated_at_trigger(relation) }}
{{ create_hierarchy_trigger(relation, 'parent_team_id') }}
{{ create_delete_triggers(relation, 'set deleted_at instead') }}
{{ create_audit_triggers(relation) }}
create or replace trigger teams_budget after insert or update of budget_amount, budget_period, currency, deleted_at on {{ relation }}
    for each row execute function internal.record_team_budget();
comment on trigger teams_budget on {{ relation }} is 'Keeps each limit a team had in team_budgets.';
{{ comment_on_indexes(relation, {
    'teams_slug_key': 'The team of a slug: gateways, seeds, imports.',
    'teams_parent_team_id_idx': 'Teams below one; foreign key to teams.',
    'teams_owner_id_idx': 'Teams somebody owns; foreign key to users.',
    'teams_cost_center_idx': 'Teams of a cost center, for charge-back.',
}) }}
{% endmacro %}
