{#
    A time-series table: a hypertable on TimescaleDB, native partitions elsewhere, with a log of the closed buckets that
    writers touch where rollups need one. `compression` says how chunks are ordered: {orderby, sparse_index}.
#}
{% macro create_time_series_table(relation, columns, compression) %}
{%- set engine = time_series_engine() %}
{%- set name = relation.schema ~ '.' ~ relation.identifier %}
create table if not exists {{ name }} (
    {{ columns }}
){% if engine == 'postgres' %} partition by range (time);
-- loses nothing that comes before its partition was made
create table if not exists {{ name }}_default partition of {{ name }} default;
{%- else %};
select public.create_hypertable(
    '{{ name }}',
    public.by_range('time', interval '{{ var("partition_width") }}'),
    if_not_exists => true,
    create_default_indexes => false
);
{%- endif %}
insert into internal.time_series (name) values ('{{ relation.identifier }}') on conflict (name) do nothing;
{%- if engine == 'postgres' %}
select internal.ensure_partitions('{{ name }}', now() - interval '{{ var("partition_width") }}', now() + interval '{{ var("partitions_ahead") }}');
{%- else %}
select internal.set_chunk_width('{{ name }}', interval '{{ var("partition_width") }}');
{%- endif %}
{%- if engine == 'timescaledb' %}
select internal.set_compression_policy('{{ name }}', interval '{{ var("compress_after") }}', '{{ compression.orderby }}', '{{ compression.sparse_index or "" }}');
select internal.set_retention_policy('{{ name }}', interval '{{ var(relation.identifier ~ "_retention") }}');
{%- endif %}
{{ create_invalidation_log(relation) }}
{% endmacro %}

{#
    Refresh must recompute the buckets below the closing threshold that a writer touched; rows at or above it are read
    from raw. The threshold lives in a sequence, which every transaction reads as it is now, whatever its snapshot.
    Continuous aggregates keep a log of their own.
#}
{% macro create_invalidation_log(relation) %}
{%- set source = relation.identifier %}
{%- if has_continuous_aggregates() %}
drop trigger if exists {{ source }}_log_insert on {{ relation }};
drop trigger if exists {{ source }}_log_update on {{ relation }};
drop trigger if exists {{ source }}_log_delete on {{ relation }};
drop function if exists internal.log_{{ source }}_invalidation();
{%- else %}
create sequence if not exists internal.{{ source }}_closing;
comment on sequence internal.{{ source }}_closing is 'Closing threshold of {{ source }} as Unix seconds: writers log what they touch below it.';

create or replace function internal.log_{{ source }}_invalidation() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    threshold timestamptz := to_timestamp((select last_value from internal.{{ source }}_closing));
begin
    if tg_level = 'ROW' then
        insert into internal.invalidations (source, slot)
        select '{{ source }}', date_bin('15 minutes', time, timestamptz '2000-01-01 00:00+00')
        from (values (old.time), (new.time)) as touched (time)
        where time < threshold;
        return null;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        insert into internal.invalidations (source, slot)
        select distinct '{{ source }}', date_bin('15 minutes', time, timestamptz '2000-01-01 00:00+00')
        from written
        where time < threshold;
    end if;
    if tg_op in ('UPDATE', 'DELETE') then
        insert into internal.invalidations (source, slot)
        select distinct '{{ source }}', date_bin('15 minutes', time, timestamptz '2000-01-01 00:00+00')
        from removed
        where time < threshold;
    end if;
    return null;
end $f$;
comment on function internal.log_{{ source }}_invalidation() is 'Logs the quarter hours of closed buckets that a statement on {{ source }} touched.';
revoke all on function internal.log_{{ source }}_invalidation() from public;

create or replace trigger {{ source }}_log_insert after insert on {{ relation }}
referencing new table as written for each statement execute function internal.log_{{ source }}_invalidation();
create or replace trigger {{ source }}_log_update after update on {{ relation }}
referencing old table as removed new table as written for each statement execute function internal.log_{{ source }}_invalidation();
{#- a table with compression refuses transition tables of DELETE #}
create or replace trigger {{ source }}_log_delete after delete on {{ relation }}
{{ 'for each row' if time_series_engine() == 'timescaledb' else 'referencing old table as removed for each statement' }}
execute function internal.log_{{ source }}_invalidation();
{%- for event in ['insert', 'update', 'delete'] %}
comment on trigger {{ source }}_log_{{ event }} on {{ relation }} is 'Tells the rollups which closed buckets they have to recompute.';
{%- endfor %}
{%- endif %}
create or replace trigger {{ source }}_refuse_truncate before truncate on {{ relation }}
for each statement execute function internal.refuse_truncate();
comment on trigger {{ source }}_refuse_truncate on {{ relation }} is 'Refuses TRUNCATE, which would leave the rollups with rows that are gone.';
{%- if time_series_engine() == 'postgres' %}
-- a subscription of logical replication fires triggers of rows only, and of these none that fires in ordinary sessions
create or replace trigger {{ source }}_log_replicated after insert or update or delete on {{ relation }}
for each row execute function internal.log_{{ source }}_invalidation();
comment on trigger {{ source }}_log_replicated on {{ relation }} is 'Tells the rollups which closed buckets a replication or a session in its role touched.';
{#- hypertables refuse to have it set when triggers fire #}
alter table {{ relation }}
    enable replica trigger {{ source }}_log_replicated,
    enable always trigger {{ source }}_refuse_truncate;
select internal.guard_partition(relid)
from pg_partition_tree('{{ relation.schema }}.{{ relation.identifier }}')
where parentrelid is not null;
{%- endif %}
{% endmacro %}
