{% macro create_internal_rollup_state() %}
create table if not exists internal.rollup_state (
    name text constraint rollup_state_pkey primary key,
    source text not null,
    parent text,
    kind text not null constraint rollup_state_kind_check check (kind in ('incremental', 'continuous_aggregate')),
    bucket text not null constraint rollup_state_bucket_check check (bucket in ('hour', 'day')),
    timezone text not null,
    definition text not null,
    watermark timestamptz,
    refreshed_at timestamptz,
    version integer not null default 1,
    starts_at timestamptz not null default '-infinity',
    grain text[] not null default '{}',
    query text,
    kept tstzmultirange not null default '{}'
);
comment on table internal.rollup_state is 'One row per rollup: its zone, its definition, the instant its present version begins at, the later spans that older versions keep, and the watermark up to which its buckets are stored.';

create table if not exists internal.rollup_history (
    rollup text not null,
    version integer not null,
    timezone text not null,
    definition text not null,
    grain text[] not null,
    ends_before timestamptz not null,
    replaced_at timestamptz not null default now(),
    constraint rollup_history_pkey primary key (rollup, version)
);
comment on table internal.rollup_history is 'One row per older version of a rollup that holds buckets raw rows no longer cover, in rollups.<rollup>_history_<version>.';
{% endmacro %}
