{% macro create_internal_time_series() %}
create table if not exists internal.time_series (
    name text constraint time_series_pkey primary key,
    dropped_before timestamptz not null default '-infinity',
    closed_before timestamptz not null default '-infinity',
    closing timestamptz not null default '-infinity',
    closing_began timestamptz,
    closing_horizon xid8,
    gone tstzmultirange not null default '{}'
);
comment on table internal.time_series is 'One row per time-series table: how far raw rows were dropped, which spans within their retention are gone by hand, and how far its hours are closed.';

create table if not exists internal.time_series_parts (
    series text not null,
    part text not null,
    low timestamptz not null,
    high timestamptz not null,
    constraint time_series_parts_pkey primary key (series, part)
);
comment on table internal.time_series_parts is 'Partitions and chunks as they were last seen: one that is missing since was dropped or detached.';
{% endmacro %}
