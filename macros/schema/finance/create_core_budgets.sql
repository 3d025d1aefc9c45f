{# target may change for the trigger, for before a row is written it isn't made yet; what it is made of may not. #}
{% macro create_core_budgets(relation) %}
create table if not exists {{ relation }} (
    id uuid not null default gen_random_uuid() constraint budgets_pkey primary key,
    user_id uuid constraint budgets_user_id_fkey references {{ ref('users') }} (id) on delete cascade,
    api_key_id uuid constraint budgets_api_key_id_fkey references {{ ref('api_keys') }} (id) on delete cascade,
    application text constraint budgets_application_check check (internal.validate_text('budgets.application', application, 200)),
    cost_center text constraint budgets_cost_center_check check (internal.validate_text('budgets.cost_center', cost_center, 100)),
    tag_key text constraint budgets_tag_key_check check (internal.validate_text('budgets.tag_key', tag_key, 200)),
    tag_value text constraint budgets_tag_value_check check (internal.validate_text('budgets.tag_value', tag_value, 1000)),
    target text generated always as (
        coalesce(
            'user ' || user_id::text, 'key ' || api_key_id::text, 'application ' || application, 'cost_center ' || cost_center,
            'tag ' || tag_key || '=' || tag_value
        )
    ) stored,
    {{ budget_columns('budgets') }},
    constraint budgets_target_check check (
        num_nonnulls(user_id, api_key_id, application, cost_center, tag_key) = 1 and (tag_key is null) = (tag_value is null)
    ),
    constraint budgets_target_period_currency_excl exclude using gist (
        (target || '') with =,
        (period || '') with =,
        (currency || '') with =,
        (tstzrange(valid_from, valid_to)) with &&
    )
);
create index if not exists budgets_user_id_idx on {{ relation }} (user_id);
create index if not exists budgets_api_key_id_idx on {{ relation }} (api_key_id);
create index if not exists budgets_target_valid_from_idx on {{ relation }} (target, valid_from);
create or replace trigger budgets_supersede before insert on {{ relation }}
    for each row execute function internal.supersede_budget();
comment on trigger budgets_supersede on {{ relation }} is 'A new limit ends the one before it of the same target, period and currency.';
{{ create_updated_at_trigger(relation) }}
{{ create_rewrite_trigger(relation, ['valid_to', 'target', 'set_by_label'], 'insert the new limit, which ends this one, or set valid_to') }}
{{ create_delete_triggers(relation, 'set valid_to instead') }}
{{ create_audit_triggers(relation) }}
{{ comment_on_indexes(relation, {
    'budgets_target_period_currency_excl': 'One limit of a target, period and currency at a time.',
    'budgets_user_id_idx': 'Budgets of one user; foreign key to users.',
    'budgets_api_key_id_idx': 'Budgets of one key; foreign key to api_keys.',
    'budgets_target_valid_from_idx': 'The limits something had, in order.',
}) }}
{% endmacro %}
