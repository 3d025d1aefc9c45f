-- one row per chunk that should have been compressed
select
    parts.part as subject,
    format(
        'It holds core.%s up to %s and is not compressed.',
        parts.series,
        to_char(parts.high at time zone 'UTC', 'YYYY-MM-DD')
    ) as message,
    format('Run `select compress_chunk(''%s'')`, and see why the compression policy did not.', parts.part) as fix
from ({{ time_series_parts() }}) as parts
where parts.compress_at < now() - interval '{{ var("compression_grace") }}'
    and not parts.is_compressed
