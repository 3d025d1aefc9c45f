{#
    What became of the files that were loaded by themselves. A file is taken once: again only when it was written since, or
    when it was refused and its source is read in another way since.
#}
{% macro create_internal_landed_files() %}
create table if not exists internal.landed_files (
    source text not null,
    path text not null,
    size bigint not null,
    modified_at timestamptz not null,
    reading text not null,
    refused_because text,
    taken_at timestamptz not null default now(),
    constraint landed_files_pkey primary key (source, path)
);
comment on table internal.landed_files is 'One row per file of a source in sources.yml, or of prices, that was taken: loaded, or refused and not tried again.';
comment on column internal.landed_files.source is 'Name of the source in sources.yml; prices/files for the folder of price lists.';
comment on column internal.landed_files.size is 'Its bytes when it was taken.';
comment on column internal.landed_files.modified_at is 'When it was written, as it said when it was taken.';
comment on column internal.landed_files.reading is 'How it was read: source, format, what was mapped and set.';
comment on column internal.landed_files.refused_because is 'Why nothing of it was loaded; null = it was loaded.';
{% endmacro %}
