"""Whose a request is: what its source says of owners, found among people, teams and keys as of the request, in SQL.

The one definition for rows that are being loaded and for rows that are there. docs/owners.md tells it to users.
"""
# ruff: noqa: S608 - statements are built of this module's own words

# where metadata has what a source says of owners, what couldn't be found of it, and which ids the source gave itself
OWNER = "source_owner"
UNRESOLVED = "unresolved_owner"
GIVEN = "given_owner"
# ids of the warehouse in a request, and the kinds of names that stand for them
OWNERS = ("user_id", "team_id", "api_key_id")
KINDS = ("user", "end_user", "team", "key", "project")
# what is kept of a longer name
LONGEST = 500
# the names of each kind among what a source says; of two the first that is known counts
NAMES = {
    "user": ("user", "user_email", "user_id"),
    "team": ("team", "team_name", "team_id"),
    "key": ("key", "key_name", "api_key_id"),
    "project": ("project",),
    "end_user": ("end_user",),
}
_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def names_owners(metadata: str, kept: str) -> str:
    """Condition for a row of which the source names an owner: metadata, and what of its ids was no id."""
    return f"({metadata} ? '{OWNER}' or {kept} ?| array['user_id', 'team_id', 'api_key_id'])"


def owner_said(metadata: str, kept: str) -> str:
    """What a source says of owners as one object: its own words, and texts in the place of ids."""
    ids = ", ".join(f"'{column}', {kept} ->> '{column}'" for column in OWNERS)
    return f"""(
        case when jsonb_typeof({metadata} -> '{OWNER}') = 'object' then {metadata} -> '{OWNER}' else '{{}}' end
        || case
            when {kept} ?| array['user_id', 'team_id', 'api_key_id']
                then jsonb_strip_nulls(jsonb_build_object({ids}))
            else '{{}}'
        end
    )"""


def resolution(rows: str, key: str) -> str:
    """Query for the owners of rows: `key`, time, user_id, team_id, api_key_id, and unresolved, null where all is known.

    `rows` is a query for the columns of `key` (`line`, or others with commas between them), time, source, owner (what
    `owner_said` makes), and user_id, team_id, api_key_id that are given and stay. `unresolved` has for a kind of name
    the name and the reason: unknown, ambiguous, in no team, in several teams.

    What a row names decides: a name that nobody is known by leaves its owner open, and nothing else stands in for it. A
    name means what core.source_identities says at the time of the request, else who has it as an id, else as an email,
    a slug or a key's hash, else as a key's prefix or a team's name. An owner that isn't named follows from the key, the
    project, the user, the end user, in this order; the team at last from the one membership of the user at that time.
    """
    said = {kind: _first(names) for kind, names in NAMES.items()}
    named = ", ".join(
        f"('{kind}', {place}, o.owner ->> '{name}')"
        for kind, names in NAMES.items()
        for place, name in enumerate(names, 1)
    )
    key_of = "coalesce(o.given[3], k.api_key_id, case when o.key_name is null then"
    key_of += " coalesce(p.api_key_id, u.api_key_id, t.api_key_id, e.api_key_id) end)"
    answers = "\n".join(
        f"""        left join answers as {alias} on {alias}.number = o.number and {alias}.kind = '{kind}'
            and s.time >= {alias}.low and s.time < {alias}.high"""
        for kind, alias in (("user", "u"), ("team", "t"), ("key", "k"), ("project", "p"), ("end_user", "e"))
    )
    own = ", ".join(f"s.{column.strip()}" for column in key.split(","))
    found = ", ".join(f"f.{column.strip()}" for column in key.split(","))
    return f"""
    with said as materialized (
        select {key}, time, source, owner, array[user_id, team_id, api_key_id] as given from ({rows}) as r
    ),
    owners as materialized (
        select
            row_number() over () as number, source, owner, given,
            {said["user"]} as user_name,
            {said["team"]} as team_name,
            {said["key"]} as key_name,
            {said["project"]} as project,
            {said["end_user"]} as end_user
        from said as o
        group by source, owner, given
    ),
    named as materialized (
        select o.number, o.source, n.kind, n.place, {name_of("n.name")} as name
        from owners as o
        cross join lateral (values {named}) as n (kind, place, name)
        where n.name <> ''
    ),
    {_ANSWERS},
    found as materialized (
        select
            {own}, s.time, o.given, o.user_name, o.team_name, o.key_name, o.project, o.end_user,
            coalesce(o.given[1], u.user_id, case when o.user_name is null then
                coalesce(k.user_id, a.user_id, p.user_id, t.user_id, e.user_id) end) as user_id,
            coalesce(o.given[2], t.team_id, case when o.team_name is null then
                coalesce(k.team_id, a.team_id, p.team_id, u.team_id, e.team_id) end) as team_id,
            {key_of} as api_key_id,
            case when o.given[1] is null and o.user_name is not null then {_reason("u")} end as user_reason,
            case when o.given[2] is null and o.team_name is not null then {_reason("t")} end as team_reason,
            case when o.given[3] is null and o.key_name is not null then {_reason("k")} end as key_reason,
            case when o.project is not null then {_reason("p")} end as project_reason,
            case when o.end_user is not null and num_nonnulls(
                o.given[1], o.given[2], o.given[3], o.user_name, o.team_name, o.key_name, o.project
            ) = 0 then {_reason("e")} end as end_user_reason
        from said as s
        inner join owners as o on o.source = s.source and o.owner = s.owner and o.given = s.given
{answers}
        left join core.api_keys as a on a.id = {key_of}
    ),
    {_TEAMS_OF},
    placed as (
        select
            f.*,
            coalesce(f.team_id, case when f.team_name is null and m.teams = 1 then m.team_id end) as placed_team,
            case when f.team_id is null and f.team_name is null and f.user_id is not null and m.teams is distinct from 1
                then case when m.teams > 1 then 'in several teams' else 'in no team' end
            end as membership_reason,
            case
                when num_nonnulls(f.given[1], f.user_name) > 0 then 'user'
                when num_nonnulls(f.given[3], f.key_name) > 0 then 'key'
                when f.project is not null then 'project'
                else 'end_user'
            end as known_by
        from found as f
        left join teams_of as m on m.user_id = f.user_id and f.time >= m.low and f.time < m.high
    )
    select
        {found}, f.time, f.user_id, f.placed_team as team_id, f.api_key_id,
        {_UNRESOLVED} as unresolved
    from placed as f
    """


def name_of(text: str) -> str:
    """A name as it is compared: what is kept of a long one; of a value that may be a key only its hash was kept."""
    return f"left(regexp_replace({text}, '^sha256:', ''), {LONGEST})"


def _first(names: tuple[str, ...]) -> str:
    """The first of these names that is said."""
    said = ", ".join(f"nullif(o.owner ->> '{name}', '')" for name in names)
    return name_of(f"coalesce({said})")


def _reason(alias: str) -> str:
    return f"case when {alias}.choices is null then 'unknown' when {alias}.choices > 1 then 'ambiguous' end"


# who may be meant by a name, by which way, and for requests of which time
_ALWAYS = "timestamptz '-infinity', timestamptz 'infinity'"
_AS_UUID = f"case when lower(n.name) ~ '{_UUID}' then n.name::uuid end"
_PERSON = "n.kind in ('user', 'end_user')"
_CANDIDATES = f"""
        select
            n.number, n.kind, 0 as way, n.place, i.user_id, i.team_id, i.api_key_id,
            coalesce(i.valid_from, '-infinity') as low, coalesce(i.valid_to, 'infinity') as high
        from named as n
        inner join core.source_identities as i on i.external_id = n.name and i.kind = n.kind and i.source = n.source
        union all
        select n.number, n.kind, 1, n.place, u.id, null, null, {_ALWAYS}
        from named as n
        inner join core.users as u on u.id = {_AS_UUID}
        where {_PERSON}
        union all
        select n.number, n.kind, 1, n.place, null, t.id, null, {_ALWAYS}
        from named as n
        inner join core.teams as t on t.id = {_AS_UUID}
        where n.kind = 'team'
        union all
        select n.number, n.kind, 1, n.place, null, null, a.id, {_ALWAYS}
        from named as n
        inner join core.api_keys as a on a.id = {_AS_UUID}
        where n.kind = 'key'
        union all
        select n.number, n.kind, 2, n.place, u.id, null, null, {_ALWAYS}
        from named as n
        inner join core.users as u on lower(u.email) = lower(n.name)
        where {_PERSON}
        union all
        select n.number, n.kind, 2, n.place, null, t.id, null, {_ALWAYS}
        from named as n
        inner join core.teams as t on t.slug = lower(n.name)
        where n.kind = 'team'
        union all
        select n.number, n.kind, 2, n.place, null, null, found.id, {_ALWAYS}
        from named as n
        cross join lateral (
            select internal.key_of_hash(case when n.name ~* '^[0-9a-f]{{64}}$' then decode(n.name, 'hex') end) as id
        ) as found
        where n.kind = 'key' and found.id is not null
        union all
        select
            n.number, n.kind, 3, n.place, null, t.id, null, timestamptz '-infinity', coalesce(t.deleted_at, 'infinity')
        from named as n
        inner join core.teams as t on lower(t.name) = lower(n.name)
        where n.kind = 'team'
        union all
        select
            n.number, n.kind, 3, n.place, null, null, a.id, timestamptz '-infinity',
            coalesce(least(a.revoked_at, a.expires_at), 'infinity')
        from named as n
        inner join core.api_keys as a on a.key_prefix = n.name
        where n.kind = 'key'
"""
# who is meant by each name of an owner from `low` to before `high`: the one candidate by the best way
_ANSWERS = f"""candidates as materialized ({_CANDIDATES}),
    bounds as (
        select number, kind, low as at from candidates
        union
        select number, kind, high from candidates
    ),
    spans as (
        select number, kind, at as low, lead(at) over (partition by number, kind order by at) as high from bounds
    ),
    best as (
        select
            s.number, s.kind, s.low, s.high, c.user_id, c.team_id, c.api_key_id,
            rank() over (partition by s.number, s.kind, s.low order by c.way, c.place) as place
        from spans as s
        inner join candidates as c on c.number = s.number and c.kind = s.kind and c.low <= s.low and s.high <= c.high
    ),
    answers as materialized (
        select
            number, kind, low, high, count(*) as choices,
            case when count(*) = 1 then (array_agg(user_id))[1] end as user_id,
            case when count(*) = 1 then (array_agg(team_id))[1] end as team_id,
            case when count(*) = 1 then (array_agg(api_key_id))[1] end as api_key_id
        from best
        where place = 1
        group by number, kind, low, high
    )"""
# the team of who is in one team, from `low` to before `high`
_TEAMS_OF = """memberships as materialized (
        select
            m.user_id, m.team_id, m.joined_at as low,
            least(coalesce(m.left_at, 'infinity'), coalesce(t.deleted_at, 'infinity')) as high
        from core.team_members as m
        inner join core.teams as t on t.id = m.team_id
        where m.user_id in (select f.user_id from found as f where f.team_id is null and f.team_name is null)
    ),
    membership_bounds as (
        select user_id, low as at from memberships where low < high
        union
        select user_id, high from memberships where low < high
    ),
    membership_spans as (
        select user_id, at as low, lead(at) over (partition by user_id order by at) as high from membership_bounds
    ),
    teams_of as materialized (
        select s.user_id, s.low, s.high, count(*) as teams, (array_agg(m.team_id))[1] as team_id
        from membership_spans as s
        inner join memberships as m on m.user_id = s.user_id and m.low <= s.low and s.high <= m.high
        group by s.user_id, s.low, s.high
    )"""
# what was said and not found, a name and a reason for each kind
_UNRESOLVED = """nullif(jsonb_strip_nulls(jsonb_build_object(
            'user', case
                when f.user_reason is not null then jsonb_build_array(f.user_name, f.user_reason)
                when f.known_by = 'user' and f.membership_reason is not null
                    then jsonb_build_array(coalesce(f.user_name, f.user_id::text), f.membership_reason)
            end,
            'team', case when f.team_reason is not null then jsonb_build_array(f.team_name, f.team_reason) end,
            'key', case
                when f.key_reason is not null then jsonb_build_array(f.key_name, f.key_reason)
                when f.known_by = 'key' and f.membership_reason is not null
                    then jsonb_build_array(coalesce(f.key_name, f.api_key_id::text), f.membership_reason)
            end,
            'project', case
                when f.project_reason is not null and f.placed_team is null and f.team_name is null
                    then jsonb_build_array(f.project, f.project_reason)
                when f.known_by = 'project' and f.membership_reason is not null
                    then jsonb_build_array(f.project, f.membership_reason)
            end,
            'end_user', case
                when f.end_user_reason is not null then jsonb_build_array(f.end_user, f.end_user_reason)
                when f.known_by = 'end_user' and f.membership_reason is not null
                    then jsonb_build_array(f.end_user, f.membership_reason)
            end
        )), '{}')"""
