{% macro create_internal_budget_searches() %}
create table if not exists internal.budget_searches (
    is_only boolean not null default true constraint budget_searches_pkey primary key
        constraint budget_searches_is_only_check check (is_only),
    searched_at timestamptz not null
);
comment on table internal.budget_searches is 'When crossings of budgets were looked for last: periods that had ended a week before are not looked at again.';
{% endmacro %}
