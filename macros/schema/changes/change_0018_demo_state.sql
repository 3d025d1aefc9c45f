{# What the demo knows of itself had its place in the audit trail, where entries stay as they are. #}
{% macro change_0018_demo_state() %}
do $$
begin
    if to_regclass('core.audit_logs') is null then
        return;
    end if;
    create table if not exists internal.demo_state (
        is_only_row boolean not null default true constraint demo_state_pkey primary key constraint demo_state_is_only_row_check check (is_only_row),
        seed numeric not null,
        people integer not null,
        days integer not null,
        starts_on date not null,
        timezone text not null,
        loaded_through timestamptz
    );
    insert into internal.demo_state (seed, people, days, starts_on, timezone, loaded_through)
    select
        (l.metadata ->> 'seed')::numeric, (l.metadata ->> 'people')::integer, (l.metadata ->> 'days')::integer,
        (l.metadata ->> 'start')::date, l.metadata ->> 'zone',
        (select max((loads.metadata ->> 'through')::timestamptz) from core.audit_logs as loads where loads.action = 'demo.load' and loads.actor_label = 'demo')
    from core.audit_logs as l
    where l.action = 'demo.start' and l.actor_label = 'demo' and l.resource_type = 'demo'
    order by l.recorded_at
    limit 1
    on conflict do nothing;
end $$
{% endmacro %}
