{#
    How far a source that is asked for what is new was read. What begins a while before the mark is read again, for it may
    have come late; rows that are there already count as duplicates.
#}
{% macro create_internal_source_marks() %}
create table if not exists internal.source_marks (
    source text not null,
    location text not null,
    high_water timestamptz not null constraint source_marks_high_water_check check (isfinite(high_water)),
    updated_at timestamptz not null default now(),
    constraint source_marks_pkey primary key (source, location)
);
comment on table internal.source_marks is 'One row per database that usage is read from, with how far it was read.';
comment on column internal.source_marks.source is 'The source, as litellm.';
comment on column internal.source_marks.location is 'The database as it is named in loads, without a password.';
comment on column internal.source_marks.high_water is 'Time of the latest request that was read; the next load begins before it.';
comment on column internal.source_marks.updated_at is 'When it was last read.';
{% endmacro %}
