{# The head counts of the team hierarchy read each person's memberships in turn, from this index alone. #}
{% macro change_0002_memberships_from_index() %}
do $$
begin
    if to_regclass('core.team_members') is not null then
        drop index if exists core.team_members_user_id_idx;
        create index team_members_user_id_idx on core.team_members (user_id) include (team_id, joined_at, left_at);
    end if;
end $$
{% endmacro %}
