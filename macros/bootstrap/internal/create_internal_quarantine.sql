{# Rows that `governance ingest` refused. Loading the same file again adds nothing, a row that loads after all leaves. #}
{% macro create_internal_quarantine() %}
create table if not exists internal.quarantine (
    id bigint generated always as identity constraint quarantine_pkey primary key,
    source text not null,
    line bigint not null,
    reasons text[] not null constraint quarantine_reasons_check check (cardinality(reasons) > 0),
    row_data jsonb not null,
    row_hash bytea not null,
    quarantined_at timestamptz not null default now(),
    constraint quarantine_source_line_row_hash_key unique (source, line, row_hash)
);
comment on table internal.quarantine is 'One row per usage record that was refused, with every reason and where it came from.';
comment on column internal.quarantine.source is 'The file as it was named on the command line.';
comment on column internal.quarantine.line is 'Line of the file on which the record begins, from 1.';
comment on column internal.quarantine.row_data is 'The mapped values as they were given, or the line as text where it has no readable columns.';
comment on column internal.quarantine.row_hash is 'SHA-256 of row_data: another record on the same line of a file of the same name is another row.';
{% endmacro %}
