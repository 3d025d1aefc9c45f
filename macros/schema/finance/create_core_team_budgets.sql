{# Written by a trigger of teams, whose columns stay the way to set a limit. The key locks teams, so none is missed. #}
{% macro create_core_team_budgets(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint team_budgets_pkey primary key,
    team_id uuid not null constraint team_budgets_team_id_fkey references {{ ref('teams') }} (id) on delete cascade,
    {{ budget_columns('team_budgets') }},
    constraint team_budgets_team_id_excl exclude using gist (
        (coalesce(team_id, '00000000-0000-0000-0000-000000000000')) with =,
        (tstzrange(valid_from, valid_to)) with &&
    )
);
create index if not exists team_budgets_team_id_valid_from_idx on {{ relation }} (team_id, valid_from);
{{ create_updated_at_trigger(relation) }}
{{ create_rewrite_trigger(relation, ['valid_to', 'set_by_label'], 'set budget_amount of the team, which ends this limit and begins another') }}
{{ create_delete_triggers(relation, 'set valid_to instead') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'team_budgets_team_id_excl': 'One limit of a team at a time.',
    'team_budgets_team_id_valid_from_idx': 'The limits a team had, in order; foreign key to teams.',
}) }}
{% endmacro %}
