{# What the demo knows of itself. In a table of ours, so that nothing else can say that a database is the demo's. #}
{% macro create_internal_demo_state() %}
create table if not exists internal.demo_state (
    is_only_row boolean not null default true constraint demo_state_pkey primary key constraint demo_state_is_only_row_check check (is_only_row),
    seed numeric not null,
    people integer not null,
    days integer not null,
    starts_on date not null,
    timezone text not null,
    loaded_through timestamptz
);
comment on table internal.demo_state is 'One row where the demo organisation was loaded, none elsewhere.';
comment on column internal.demo_state.days is 'Days of usage up to the first load.';
comment on column internal.demo_state.starts_on is 'First local day of usage.';
comment on column internal.demo_state.timezone is 'The reporting_timezone of the first load: days are local days of it.';
comment on column internal.demo_state.loaded_through is 'Up to when usage was loaded, null until a first load has ended.';
{% endmacro %}
