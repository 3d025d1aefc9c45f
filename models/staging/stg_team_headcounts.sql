-- one row per live team with people in it or in a live team below it
with places as (
    select team_id, path_ids, row_number() over (order by path_ids) as place
    from {{ ref('stg_team_tree') }}
    where is_live
),

-- in this order a team and those below it stand together, so a person's membership is his first among them
-- unless the one before is among them too
memberships as (
    select places.place, lag(places.place) over (partition by members.user_id order by places.place) as place_before
    from {{ ref('stg_live_memberships') }} as members
    inner join places on places.team_id = members.team_id
    left join {{ ref('stg_users') }} as gone on gone.user_id = members.user_id and gone.status = 'deactivated'
    where gone.user_id is null
),

people as (
    select place, place_before, count(*) as person_count
    from memberships
    group by place, place_before
)

select
    above.team_id,
    coalesce(sum(people.person_count) filter (where people.place = above.place), 0)::bigint as direct_member_count,
    (
        sum(people.person_count) filter (where people.place_before is null or people.place_before < above.place)
    )::bigint as total_member_count
from people
inner join places as own on own.place = people.place
cross join lateral unnest(own.path_ids) as line (team_id)
inner join places as above on above.team_id = line.team_id
group by above.team_id
