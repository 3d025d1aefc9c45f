-- one row per live team with people in it or in a live team below it
-- a list of the few who are deactivated, which without an index is joined by hash: a look at each member costs more
with gone as materialized (
    select user_id from {{ ref('stg_users') }} where status = 'deactivated'
),

-- by place a team and those below it stand together, so a person's membership is his first among them
-- unless the one before is among them too
memberships as (
    select
        tree.root_team_id,
        tree.place,
        lag(tree.place) over (partition by members.user_id, tree.root_team_id order by tree.place) as place_before
    from {{ ref('stg_live_memberships') }} as members
    inner join {{ ref('stg_team_tree') }} as tree on tree.team_id = members.team_id
    left join gone on gone.user_id = members.user_id
    where gone.user_id is null
),

people as (
    select root_team_id, place, place_before, count(*) as person_count
    from memberships
    group by root_team_id, place, place_before
)

select
    people.root_team_id,
    above.team_id,
    coalesce(sum(people.person_count) filter (where people.place = above.place), 0)::bigint as direct_member_count,
    (
        sum(people.person_count) filter (where people.place_before is null or people.place_before < above.place)
    )::bigint as total_member_count
from people
inner join {{ ref('stg_team_tree') }} as own
    on own.root_team_id = people.root_team_id and own.place = people.place
cross join lateral unnest(own.path_ids) as ancestors (team_id)
inner join {{ ref('stg_team_tree') }} as above on above.team_id = ancestors.team_id and above.is_live
group by people.root_team_id, above.team_id
