-- one row per account whose address looks like that of an older one
with looks as (
    select
        email,
        status,
        created_at,
        id,
        internal.look_of(email) as look
    from {{ ref('users') }}
    where status <> 'deactivated'
),

placed as (
    select
        *,
        first_value(email) over (partition by look order by created_at, id) as older,
        row_number() over (partition by look order by created_at, id) as place
    from looks
)

select
    email as subject,
    concat(
        format('Its address looks like %s', older),
        ', and is written with ' || (
            select
                string_agg(distinct regexp_replace(upper('U+000' || to_hex(ascii(letter))), '[+]0+(?=.{4})', '+'), ', ')
            from regexp_split_to_table(placed.email, '') as letter
            where letter !~ '[ -~]'
        ),
        '.'
    ) as message,
    'Find out whose it is; deactivate it if it pretends to be the other one.' as fix
from placed
where place > 1
