{#
    Which rows of llm_metrics came by which load. A batch is one transaction, so its rows have the start of it as
    ingested_at, and nobody else's have: the same instant twice is refused here and tried again.
#}
{% macro create_internal_loads() %}
create table if not exists internal.loads (
    id bigint generated always as identity constraint loads_pkey primary key,
    source text not null,
    mapping jsonb not null,
    constants jsonb not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    undone_at timestamptz
);
create index if not exists loads_source_idx on internal.loads (source);
comment on table internal.loads is 'One row per file or other source that was loaded.';
comment on column internal.loads.source is 'The file as it was named on the command line.';
comment on column internal.loads.mapping is 'The column or key that filled each target.';
comment on column internal.loads.constants is 'The value that filled a target in every row.';
comment on column internal.loads.ended_at is 'Null while it runs, and where it was killed.';
comment on column internal.loads.undone_at is 'When it was taken back.';
comment on index internal.loads_source_idx is 'The loads of a file.';

create table if not exists internal.load_batches (
    load_id bigint not null constraint load_batches_load_id_fkey references internal.loads (id),
    ingested_at timestamptz not null constraint load_batches_pkey primary key,
    loaded bigint not null,
    duplicate bigint not null,
    quarantined bigint not null,
    cost_amount numeric not null,
    tokens numeric not null,
    oldest timestamptz,
    newest timestamptz,
    changed bigint not null default 0,
    constraint load_batches_bounds_check check ((loaded > 0) = (oldest is not null and newest is not null))
);
create index if not exists load_batches_load_id_idx on internal.load_batches (load_id);
comment on table internal.load_batches is 'One row per transaction of a load, with what became of its records.';
comment on column internal.load_batches.ingested_at is 'Start of the transaction: ingested_at of the rows it loaded, quarantined_at of those it refused.';
comment on column internal.load_batches.cost_amount is 'Sum over the rows loaded, as later loads left them: whether they were changed by hand is told by it.';
comment on column internal.load_batches.tokens is 'Sum of total_tokens over the rows loaded.';
comment on column internal.load_batches.oldest is 'Earliest time of the rows loaded.';
comment on column internal.load_batches.newest is 'Latest time of the rows loaded.';
comment on column internal.load_batches.changed is 'Records that say something else than the request of theirs that was stored, and were not refused for it.';
comment on index internal.load_batches_load_id_idx is 'What a load brought.';
{% endmacro %}
