{# What sources said of requests that were stored already, where it was something else; and what was stored then. #}
{% macro create_internal_changed_requests() %}
create table if not exists internal.changed_requests (
    id bigint generated always as identity constraint changed_requests_pkey primary key,
    changed_at timestamptz not null default now(),
    decision text not null constraint changed_requests_decision_check check (decision in ('kept', 'replaced')),
    source text not null,
    line bigint not null,
    request_id text not null,
    time timestamptz not null,
    ingested_at timestamptz not null,
    stored jsonb not null,
    said jsonb not null
);
create unique index if not exists changed_requests_kept_key on internal.changed_requests (request_id, time, jsonb_hash_extended(said, 0)) where decision = 'kept';
create index if not exists changed_requests_changed_at_idx on internal.changed_requests (changed_at);
comment on table internal.changed_requests is 'One row per request and what a later record of it said otherwise.';
comment on column internal.changed_requests.changed_at is 'Start of the transaction: load_batches.ingested_at of the load that said it.';
comment on column internal.changed_requests.decision is 'kept: the request is as it was stored; replaced: as the later record says.';
comment on column internal.changed_requests.source is 'The file, as it was named on the command line.';
comment on column internal.changed_requests.line is 'Line of the file on which the later record begins.';
comment on column internal.changed_requests.request_id is 'With time the request in core.llm_metrics.';
comment on column internal.changed_requests.ingested_at is 'Of the request: load_batches.ingested_at of the load that brought it.';
comment on column internal.changed_requests.stored is 'By column what was stored, of the columns that differ.';
comment on column internal.changed_requests.said is 'By column what the later record makes of it.';
comment on index internal.changed_requests_kept_key is 'What is said again is noted once.';
comment on index internal.changed_requests_changed_at_idx is 'What a load changed.';
{% endmacro %}
