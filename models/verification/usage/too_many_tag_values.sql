-- one row per name of tags that had more values on a recent day than are allowed
select
    format('tag %s', tag_key) as subject,
    format(
        'It had %s values on %s; more than {{ var("tag_values_allowed") }}'
        || ' make the rollups as long as the requests they sum up.',
        max(value_count),
        (array_agg(day order by value_count desc, day desc))[1]
    ) as message,
    'Leave the name out of the var cost_tags, or have the sources send fewer values, a project instead of a session.'
        as fix
from (
    select tag_key, day, count(distinct tag_value) as value_count
    from {{ ref('stg_tag_shares') }}
    where bucket >= now() - interval '{{ var("verified_rollup_window") }}'
    group by tag_key, day
) as days
where value_count > {{ var("tag_values_allowed") }}
group by tag_key
