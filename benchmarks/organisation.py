"""A large organisation, made inside the database by set-based SQL: for benchmarks, and in small for tests of plans."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestration.lib.database.connection import Connection

DAYS = 30
ROOT_SIZE = 100  # teams below one root and itself, on ten levels


@dataclass(frozen=True)
class Size:
    """Rows to make; memberships, grants, keys, second factors and subscriptions follow from the users."""

    users: int
    teams: int
    sessions: int
    alerts: int
    policies: int
    roles: int
    requests: int  # of 30 days; 0 leaves usage to benchmarks.usage, whose people and teams these are
    audit_rows: int


# user 17 is md5('user-17'), so each statement knows the ids of the others; a user's number decides about him
USERS = """
    insert into core.users (id, email, display_name, status, mfa_enabled, last_login_at, metadata, created_at)
    select
        md5('user-' || n)::uuid,
        'person.' || n || '@example.com',
        (array['Ada', 'Grace', 'Alan', 'Barbara', 'Radia', 'Ken'])[1 + n % 6] || ' ' || substr(md5('name-' || n), 1, 8),
        case
            when n % 25 = 7 then 'deactivated'
            when n % 25 = 13 then 'invited'
            when n % 50 = 11 then 'suspended'
            else 'active'
        end,
        n % 5 = 0,
        case when n % 25 <> 13 then now() - random() * interval '120 days' end,
        jsonb_build_object('department', 'Department ' || n % 400),
        now() - interval '400 days'
    from generate_series(1, {users}) as n
"""
# a root and nine levels of eleven teams below it, again and again
TEAMS = f"""
    insert into core.teams (id, slug, name, parent_team_id, owner_id, budget_amount, budget_period, cost_center)
    select
        md5('team-' || n)::uuid,
        'team-' || n,
        'Team ' || n,
        case
            when k between 1 and 11 then md5('team-' || n - k)::uuid
            when k > 11 then md5('team-' || n - k + 1 + ((k - 1) / 11 - 1) * 11 + (random() * 10)::integer)::uuid
        end,
        md5('user-' || 1 + n % {{users}})::uuid,
        1000 * (1 + n % 50),
        (array['month', 'month', 'quarter', 'year'])[1 + n % 4],
        'CC-' || n % 200
    from generate_series(0, {{teams}} - 1) as n
    cross join lateral (select n % {ROOT_SIZE} as k) as place
"""
# four in five people are in one team, the others in two or three
MEMBERSHIPS = """
    insert into core.team_members (team_id, user_id, member_role, joined_at, left_at)
    select
        -- his own team, and any others
        md5('team-' || case m when 0 then (n * 7919) % {teams} else (hashint8(n * 3 + m) & 65535) % {teams} end)::uuid,
        md5('user-' || n)::uuid,
        case when n % 40 = 0 then 'manager' else 'member' end,
        now() - interval '300 days' - (n % 90) * interval '1 day',
        case when m = 0 and n % 20 = 3 then now() - interval '10 days' end
    from generate_series(1, {users}) as n
    cross join lateral generate_series(0, case when n % 20 = 0 then 2 when n % 20 < 4 then 1 else 0 end) as m
    on conflict do nothing
"""
CUSTOM_ROLES = """
    insert into core.roles (slug, name, parent_role_id, permissions)
    select
        'custom-' || n,
        'Custom ' || n,
        parents.id,
        jsonb_build_object('resource_' || n, array['read', 'update'], 'shared_' || n % 7, array['read'])
    from generate_series(1, {roles}) as n
    inner join core.roles as parents on parents.slug = (array['viewer', 'developer'])[1 + n % 2]
"""
# one role everywhere, for a third another one in a team
GRANTS = """
    insert into core.user_roles (user_id, role_id, team_id, granted_by, granted_at, expires_at, revoked_at)
    select
        md5('user-' || n)::uuid,
        roles.id,
        case when m = 1 then md5('team-' || (n * 7919) % {teams})::uuid end,
        md5('user-' || 1 + n % 50)::uuid,
        now() - interval '200 days',
        case when n % 10 = 4 then now() + (n % 365) * interval '1 day' + interval '1 hour' end,
        case when n % 20 = 9 then now() - interval '5 days' end
    from generate_series(1, {users}) as n
    cross join lateral generate_series(0, (n % 3 = 0)::integer) as m
    inner join core.roles as roles on roles.slug = case
        when m = 1 then 'custom-' || 1 + n % {roles}
        when n % 100 = 1 then 'admin'
        when n % 100 < 4 then 'team-manager'
        when n % 100 = 5 then 'finance-manager'
        when n % 100 = 6 then 'security-officer'
        when n % 100 < 60 then 'developer'
        else 'viewer'
    end
"""
SECOND_FACTORS = """
    insert into core.mfa_secrets (user_id, secret_ciphertext, encryption_key_id, confirmed_at)
    select md5('user-' || n)::uuid, sha512(n::text::bytea), 'key-' || n % 40, now() - interval '100 days'
    from generate_series(5, {users}, 5) as n
"""
KEYS = """
    insert into core.api_keys (
        id, user_id, team_id, name, key_prefix, key_hash, scopes, created_by, created_at, expires_at, revoked_at
    )
    select
        md5('key-' || n)::uuid,
        md5('user-' || n)::uuid,
        case when n % 10 = 0 then md5('team-' || (n * 7919) % {teams})::uuid end,
        'Key ' || n,
        'sk-' || substr(md5('prefix-' || n), 1, 8),
        sha256(('key-' || n)::bytea),
        jsonb_build_object('metrics', jsonb_build_array(case when n % 50 = 0 then 'write' else 'read' end)),
        case when n % 4 = 0 then md5('user-' || 1 + n % 300)::uuid end,
        now() - interval '150 days',
        now() - interval '20 days' + (n % 300) * interval '1 day' + interval '1 hour',
        case when n % 12 = 0 then now() - interval '30 days' end
    from generate_series(1, {users}) as n
"""
# twelve hours each, over three months: about one in two hundred is live
SESSIONS = """
    insert into core.sessions (
        user_id, token_hash, ip_address, user_agent, mfa_verified, created_at, last_seen_at, expires_at, revoked_at
    )
    select
        md5('user-' || u)::uuid,
        sha256(('session-' || n)::bytea),
        '10.0.0.0'::inet + n % 65536,
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
        n % 3 = 0,
        began,
        began + interval '10 minutes',
        began + interval '12 hours',
        -- of people who are not active none is live
        case when n % 20 = 0 or u % 25 in (7, 13) or u % 50 = 11 then began + interval '1 hour' end
    from generate_series({first}, {last}) as n
    cross join lateral (select 1 + n % {users} as u) as person
    cross join lateral (select now() - random() * interval '90 days' - n * interval '0' as began) as times
"""
# two versions of each, the second in force
POLICIES = """
    insert into core.policies (
        id, slug, name, policy_type, rules, enforcement, priority, version, is_active, created_by
    )
    select
        md5('policy-' || n || '-' || v)::uuid,
        'policy-' || n,
        'Policy ' || n,
        types.policy_type,
        case
            when types.policy_type <> 'cost_limit' then types.rules
            else types.rules || jsonb_build_object('currency', 'X' || chr(65 + n / 26 % 26) || chr(65 + n % 26))
        end,
        (array['warn', 'block', 'log'])[1 + n % 3],
        10 * (1 + n % 20),
        v,
        v = 2,
        md5('user-' || 1 + n % 40)::uuid
    from generate_series(1, {policies}) as n
    cross join generate_series(1, 2) as v
    inner join (
        select policy_type, rules, row_number() over (order by slug) as number
        from core.policies
        where slug in ('default-cost-limit', 'default-rate-limit', 'pii-detection', 'security-best-practices')
    ) as types on types.number = 1 + n % 4
"""
ASSIGNMENTS = """
    insert into core.policy_assignments (policy_id, team_id, user_id, effective_from, expires_at, assigned_by)
    select
        md5('policy-' || n || '-2')::uuid,
        case when m < 5 then md5('team-' || (n * 37 + m * 101) % {teams})::uuid end,
        case when m >= 5 then md5('user-' || 1 + (n * 1009 + m * 211) % {users})::uuid end,
        now() - interval '60 days',
        case when m = 4 then now() - interval '1 day' end,
        md5('user-' || 1 + n % 40)::uuid
    from generate_series(1, {policies}) as n
    cross join generate_series(0, 19) as m
"""
ALERTS = """
    insert into core.alerts (
        alert_type, severity, status, title, details, dedupe_key, policy_id, team_id, user_id,
        created_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by
    )
    select
        (array['budget', 'anomaly', 'pii', 'rate_limit', 'login', 'key_age'])[1 + n % 6],
        (array['info', 'low', 'medium', 'high', 'critical'])[1 + n % 5],
        case when n % 100 = 1 then 'open' when n % 100 = 2 then 'acknowledged' else 'resolved' end,
        'Alert ' || n,
        jsonb_build_object('model', 'model-' || n % 300, 'value', n),
        'dedupe-' || n,
        md5('policy-' || 1 + n % {policies} || '-2')::uuid,
        md5('team-' || n % {teams})::uuid,
        case when n % 3 = 0 then md5('user-' || 1 + n % {users})::uuid end,
        began,
        case when n % 100 <> 1 then began + interval '20 minutes' end,
        case when n % 100 <> 1 then md5('user-' || 1 + n % 200)::uuid end,
        case when n % 100 not in (1, 2) then began + interval '3 hours' end,
        case when n % 100 not in (1, 2) then md5('user-' || 1 + n % 300)::uuid end
    from generate_series(1, {alerts}) as n
    cross join lateral (select now() - random() * interval '360 days' - n * interval '0' as began) as times
"""
SUBSCRIPTIONS = """
    insert into core.alert_subscriptions (user_id, alert_type, channel, target)
    select md5('user-' || n)::uuid, 'type_' || n % 100, 'email', 'person.' || n || '@example.com'
    from generate_series(3, {users}, 10) as n
"""
# few people make most requests; on the last full day as on each other; a key is used from several applications
REQUESTS = f"""
    insert into core.llm_metrics (
        time, request_id, trace_id, user_id, team_id, api_key_id, provider, model, application, environment,
        input_tokens, cache_read_tokens, output_tokens, cost_amount, cost_source, latency_ms, time_to_first_token_ms,
        policy_id, policy_decision, tags, ingested_at
    )
    select
        now() - n * (interval '{DAYS} days' / {{requests}}),
        'req-' || md5('request-' || n),
        md5('trace-' || n)::uuid,
        md5('user-' || u)::uuid,
        md5('team-' || (u::bigint * 7919) % {{teams}})::uuid,
        md5('key-' || u)::uuid,
        (array['openai', 'anthropic', 'google', 'mistral', 'azure'])[1 + m % 5],
        'model-' || m,
        'app-' || (u + a) % 30,
        (array['production', 'staging', 'development'])[1 + n % 3],
        500 + n % 4500, n % 500, n % 1000,
        (500 + n % 4500) * 0.0000025 + n % 1000 * 0.00001,
        'computed', 100 + n % 9000, 50 + n % 900,
        case when n % 10 = 0 then md5('policy-' || 1 + u % {{policies}} || '-2')::uuid end,
        case when n % 10 = 0 then case n % 500 when 0 then 'block' when 10 then 'flag' else 'allow' end end,
        case when n % 4 = 0 then jsonb_build_object('feature', 'feature-' || n % 1000) end,
        now() - n * (interval '{DAYS} days' / {{requests}}) + interval '1 second'
    from generate_series(1, {{requests}}) as n
    cross join lateral (
        select
            1 + least(floor({{users}} * random() ^ 3 + n * 0), {{users}} - 1)::integer as u,
            (15 * random() ^ 2 + n * 0)::integer % 15 as m,
            floor(6 * random() ^ 3 + n * 0)::integer as a
    ) as dice
"""
SAMPLES = """
    insert into core.system_metrics (time, service, host, metric_name, value)
    select now() - n * interval '10 seconds', 'service-' || n % 20, 'host-' || n % 7, 'metric_' || n % 11, n
    from generate_series(1, {requests} / 10) as n
"""
# what an application writes besides the changes of rows: through the trigger that seals each entry with its checksum
AUDIT_ROWS = """
    insert into core.audit_logs (
        actor_type, actor_id, action, resource_type, resource_id, outcome, ip_address, user_agent, request_id, metadata
    )
    select
        'user',
        md5('user-' || 1 + floor({users} * random() ^ 2 + n * 0)::integer)::uuid,
        case when n % 200 = 0 then 'login.failed' when n % 3 = 0 then 'reports.export' else 'api_keys.use' end,
        case when n % 200 = 0 then 'users' when n % 3 = 0 then 'reports' else 'api_keys' end,
        md5('key-' || 1 + n % ({users} * 4))::uuid,
        case when n % 200 = 0 then 'failure' else 'success' end,
        '10.0.0.0'::inet + n % 65536,
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
        'audit-' || n / 3,
        jsonb_build_object('path', '/v1/' || n % 500)
    from generate_series({first}, {last}) as n
"""
BATCH = 250_000


def load_organisation(connection: Connection, size: Size, notify: Callable[[str], object] = lambda _: None) -> None:
    """Fill a freshly built warehouse; every trigger and constraint is in force. `connection` commits by itself or not.

    The same size gives the same organisation, but for times, which count from now. Changes of rows write their own
    audit rows; `size.audit_rows` is the total.
    """
    names = {
        "users": size.users,
        "teams": size.teams,
        "policies": size.policies,
        "roles": size.roles,
        "alerts": size.alerts,
    }

    def run(what: str, statement: str, **values: int) -> None:
        notify(what)
        connection.execute(statement.format(**names, **values).encode())

    def in_batches(what: str, statement: str, rows: int) -> None:
        for first in range(1, rows + 1, BATCH):
            run(f"{what}, from {first:,} of {rows:,}", statement, first=first, last=min(first + BATCH - 1, rows))

    connection.execute("select setseed(0.5)")
    run(f"{size.users:,} users", USERS)
    run(f"{size.teams:,} teams", TEAMS)
    run("roles", CUSTOM_ROLES)
    connection.execute("analyze core.users, core.teams, core.roles")
    for what, statement in [
        ("memberships", MEMBERSHIPS),
        ("grants", GRANTS),
        ("second factors", SECOND_FACTORS),
        ("keys", KEYS),
        ("policies", POLICIES),
        ("assignments", ASSIGNMENTS),
        ("alerts", ALERTS),
        ("subscriptions", SUBSCRIPTIONS),
    ]:
        run(what, statement)
    in_batches("sessions", SESSIONS, size.sessions)
    if connection.execute("select from internal.settings where value = 'postgres'").fetchone() is not None:
        for table in ("llm_metrics", "system_metrics"):
            connection.execute(
                f"select internal.ensure_partitions('core.{table}', now() - interval '{DAYS + 1} days', now())".encode()
            )
    if size.requests:
        run(f"{size.requests:,} requests", REQUESTS, requests=size.requests)
        run("samples", SAMPLES, requests=size.requests)
    [(count,)] = connection.execute("select count(*) from core.audit_logs")
    in_batches("audit rows", AUDIT_ROWS, size.audit_rows - count)
