{# Raw rows that are gone by hand: their buckets are never computed anew from what is left. #}
{% macro change_0011_gone_raw_rows() %}
alter table if exists internal.time_series add column gone tstzmultirange not null default '{}';
alter table if exists internal.rollup_state add column kept tstzmultirange not null default '{}';
-- a job of ours refreshes now
drop function if exists internal.set_refresh_policy(regclass, interval, interval, interval);
{% endmacro %}
