-- The questions the indexes are there for: each index with a query that must use it. Constraints speak for themselves.
-- An index is on the list or behind a constraint; test_indexes.py holds the catalog against it, and has those of the
-- rollups. The ids are those of benchmarks/organisation.py.

---- people
-- login: users_email_key
select id from core.users where lower(email) = 'person.17@example.com';
-- search by a part of a name or address: users_search_idx
select id from core.users where email ilike '%son.2345%' or display_name ilike '%son.2345%';
-- accounts of a department: users_metadata_idx
select id from core.users where metadata @> '{"department": "Department 17"}';
-- suspended accounts: users_status_idx
select id from core.users where status = 'suspended';
-- dormant accounts: users_last_login_at_idx
select id from core.users where last_login_at < now() - interval '118 days';
-- second factor at login: mfa_secrets_user_id_kind_key
select secret_ciphertext from core.mfa_secrets where user_id = md5('user-17')::uuid and kind = 'totp';
-- secrets to encrypt anew: mfa_secrets_encryption_key_id_idx
select id from core.mfa_secrets where encryption_key_id = 'key-20';
-- session of a token: sessions_token_hash_key
select user_id from core.sessions where token_hash = sha256('session-17');
-- live sessions of one user: sessions_user_id_expires_at_idx
select session_id, idle_time from reporting.active_sessions_view where user_id = md5('user-17')::uuid;
-- live sessions: sessions_expires_at_idx
select session_id, email from reporting.active_sessions_view;
-- key of a request: api_keys_key_hash_key
select user_id, team_id, scopes from core.api_keys where key_hash = sha256('key-17');
-- keys of one user: api_keys_user_id_idx
select id from core.api_keys where user_id = md5('user-17')::uuid;
-- keys of one team: api_keys_team_id_idx
select id from core.api_keys where team_id = md5('team-17')::uuid;
-- keys somebody made: api_keys_created_by_idx
select id from core.api_keys where created_by = md5('user-17')::uuid;
-- whose key was leaked: api_keys_key_prefix_idx
select user_id, team_id from core.api_keys where key_prefix = 'sk-0123abcd';
-- who is meant by a name of a source: source_identities_validity_excl
select user_id, team_id, api_key_id from core.source_identities
where source = 'litellm' and kind = 'user' and external_id = 'u-17';
-- names of one user: source_identities_user_id_idx
select id from core.source_identities where user_id = md5('user-17')::uuid;
-- names of one team: source_identities_team_id_idx
select id from core.source_identities where team_id = md5('team-17')::uuid;
-- names of one key: source_identities_api_key_id_idx
select id from core.source_identities where api_key_id = md5('key-17')::uuid;
-- keys that expire soon: api_keys_expires_at_idx
select id from core.api_keys where expires_at >= now() and expires_at < now() + interval '3 days';
-- keys that may write metrics: api_keys_scopes_idx
select id from core.api_keys where scopes @> '{"metrics": ["write"]}';

---- prices
-- prices of a model: model_prices_provider_model_idx
select unit, unit_price from core.model_prices where provider = 'openai' and model = 'gpt-4o' and superseded_at is null;
-- agreements of a team: price_agreements_team_id_idx
select name from core.price_agreements where team_id = md5('team-17')::uuid;

---- roles and teams
-- role of a slug: roles_slug_key
select id from core.roles where slug = 'custom-17';
-- roles that inherit from one: roles_parent_role_id_idx
select id from core.roles where parent_role_id = 'a0000000-0000-4000-8000-000000000003';
-- roles that may do something: roles_permissions_idx
select id from core.roles where permissions @> '{"resource_17": ["read"]}';
-- permissions of one user: user_roles_user_id_granted_at_idx
select resource, action from reporting.user_permissions_view where user_id = md5('user-17')::uuid;
-- who holds a role: user_roles_role_id_idx
select user_id from core.user_roles where role_id = 'a0000000-0000-4000-8000-000000000007';
-- grants on one team: user_roles_team_id_idx
select user_id from core.user_roles where team_id = md5('team-17')::uuid;
-- grants somebody made: user_roles_granted_by_idx
select id from core.user_roles where granted_by = md5('user-17')::uuid;
-- grants that expire soon: user_roles_expires_at_idx
select id from core.user_roles where expires_at >= now() and expires_at < now() + interval '7 days';
-- team of a slug: teams_slug_key
select id from core.teams where slug = 'team-17';
-- teams below one: teams_parent_team_id_idx
select id from core.teams where parent_team_id = md5('team-17')::uuid;
-- teams somebody owns: teams_owner_id_idx
select id from core.teams where owner_id = md5('user-17')::uuid;
-- teams of a cost center: teams_cost_center_idx
select id from core.teams where cost_center = 'CC-17';
-- members of one team on a day: team_members_team_id_joined_at_idx
select user_id from core.team_members
where team_id = md5('team-17')::uuid and joined_at < date_trunc('day', now(), 'UTC');
-- teams of one user: team_members_user_id_idx
select team_id from core.team_members where user_id = md5('user-17')::uuid;

---- policies and alerts
-- version in force now: policies_slug_version_key
select id, rules from core.policies
where slug = 'policy-17' and published_at is not null and effective_from <= now()
    and (effective_to is null or effective_to > now());
-- version published last: policies_slug_active_key
select id, rules from core.policies where slug = 'policy-17' and is_active;
-- one version of a policy: policies_slug_version_key
select id, rules from core.policies where slug = 'policy-17' and version = 1;
-- policies of a type in the order they are evaluated: policies_policy_type_priority_idx
select id from core.policies where policy_type = 'security' order by priority limit 10;
-- policies somebody wrote: policies_created_by_idx
select id from core.policies where created_by = md5('user-17')::uuid;
-- policies by what they rule: policies_rules_idx
select id from core.policies where rules @> '{"currency": "XAE"}';
-- whom a policy applies to: policy_assignments_policy_id_idx
select team_id, user_id from core.policy_assignments where policy_id = md5('policy-17-2')::uuid;
-- policies of one team: policy_assignments_team_id_idx
select policy_id from core.policy_assignments where team_id = md5('team-17')::uuid;
-- policies of one user: policy_assignments_user_id_idx
select policy_id from core.policy_assignments where user_id = md5('user-17')::uuid;
-- assignments somebody made: policy_assignments_assigned_by_idx
select id from core.policy_assignments where assigned_by = md5('user-17')::uuid;
-- is this alert open already: alerts_dedupe_key_unresolved_key
select id from core.alerts where dedupe_key = 'dedupe-101' and status in ('open', 'acknowledged');
-- unresolved alerts of a severity, oldest first: alerts_severity_created_at_unresolved_idx
select id, title from core.alerts
where status in ('open', 'acknowledged') and severity = 'low' order by created_at limit 10;
-- history of one kind of alert: alerts_alert_type_severity_created_at_idx
select id, title from core.alerts
where alert_type = 'pii' and severity = 'medium' and created_at >= now() - interval '60 days';
-- alerts of a day: alerts_created_at_idx
select id from core.alerts where created_at >= now() - interval '1 day';
-- alerts a policy caused: alerts_policy_id_idx
select id from core.alerts where policy_id = md5('policy-17-2')::uuid;
-- alerts about one team: alerts_team_id_idx
select id from core.alerts where team_id = md5('team-17')::uuid;
-- alerts about one user: alerts_user_id_idx
select id from core.alerts where user_id = md5('user-17')::uuid;
-- alerts somebody took on: alerts_acknowledged_by_idx
select id from core.alerts where acknowledged_by = md5('user-17')::uuid;
-- alerts somebody resolved: alerts_resolved_by_idx
select id from core.alerts where resolved_by = md5('user-17')::uuid;
-- alerts by what they say: alerts_details_idx
select id from core.alerts where details @> '{"model": "model-17"}';
-- whom to tell about an alert: alert_subscriptions_alert_type_idx
select user_id, target from core.alert_subscriptions where alert_type in ('type_3', '*') and is_enabled;
-- subscriptions of one user: alert_subscriptions_user_id_alert_type_channel_target_key
select alert_type from core.alert_subscriptions where user_id = md5('user-17')::uuid;

---- the audit trail
-- the next segment to seal: audit_logs_epoch_xid_idx
select id from core.audit_logs where epoch = 1 and xid > pg_snapshot_xmax(pg_current_snapshot()) order by epoch, xid;
-- the trail of a period: audit_logs_recorded_at_idx
select id from core.audit_logs where recorded_at >= now() - interval '1 second' order by recorded_at;
-- what somebody did: audit_logs_actor_id_recorded_at_idx
select action from core.audit_logs where actor_id = md5('user-17')::uuid order by recorded_at desc limit 100;
-- what happened to something: audit_logs_resource_id_recorded_at_idx
select action from core.audit_logs where resource_id = md5('key-17')::uuid order by recorded_at desc;
-- failed logins of a day: audit_logs_action_recorded_at_idx
select actor_id from core.audit_logs where action = 'login.failed' and recorded_at >= date_trunc('day', now(), 'UTC');
-- everything one request did: audit_logs_request_id_idx
select action, resource_id from core.audit_logs where request_id = 'audit-17';
-- entries by what was noted: audit_logs_metadata_idx
select id from core.audit_logs where metadata @> '{"path": "/v1/17"}';

---- budgets and charges
-- the limits a team had: team_budgets_team_id_valid_from_idx
select amount, valid_from from core.team_budgets where team_id = md5('team-17')::uuid order by valid_from;
-- budgets of one user: budgets_user_id_idx
select amount from core.budgets where user_id = md5('user-17')::uuid;
-- budgets of one key: budgets_api_key_id_idx
select amount from core.budgets where api_key_id = md5('key-17')::uuid;
-- the limits an application had: budgets_target_valid_from_idx
select amount, valid_from from core.budgets where target = 'application app-17' order by valid_from;
-- adjustments of one team: cost_adjustments_team_id_idx
select month, amount from core.cost_adjustments where team_id = md5('team-17')::uuid;

---- usage
-- one request: llm_metrics_request_id_time_key
select cost_amount from core.llm_metrics where request_id = 'req-17' and time >= now() - interval '2 days';
-- the live tail: llm_metrics_time_idx
select sum(cost_amount) from core.llm_metrics where time >= now() - interval '1 hour';
-- what arrived since: llm_metrics_ingested_at_idx
select count(*) from core.llm_metrics where ingested_at >= now() - interval '1 hour';
-- requests with a tag: llm_metrics_tags_idx
select request_id from core.llm_metrics where tags @> '{"feature": "feature-16"}';
-- a report of a month: provider_usage_source_period_start_idx
select sum(cost_amount) from core.provider_usage
where source = 'openai-costs' and account = '' and report = 'costs' and provider = 'openai'
    and period_start >= now() - interval '2 days';
-- the live tail of system metrics: system_metrics_time_idx
select count(*) from core.system_metrics where time >= now() - interval '10 minutes';
-- the course of one metric: system_metrics_service_metric_name_time_idx
select time, value from core.system_metrics
where service = 'service-1' and metric_name = 'metric_1' and time >= date_trunc('day', now(), 'UTC') - interval '1 day';

---- rollups, where they are tables of their own
-- the running day of one user: llm_metrics_hourly_stored_bucket_user_id_idx
select total_tokens from rollups.llm_metrics_daily
where user_id = md5('user-17')::uuid and bucket >= date_trunc('day', now(), 'UTC');
-- hours of one metric: system_metrics_hourly_stored_service_metric_name_bucket_idx
select bucket, value_sum from rollups.system_metrics_hourly where service = 'service-1' and metric_name = 'metric_1';

---- reviews of access
-- decisions about a grant: access_reviews_user_role_id_key
select decision from core.access_reviews
where user_role_id = (select id from core.user_roles where user_id = md5('user-17')::uuid order by id limit 1);
-- decisions about a key: access_reviews_api_key_id_key
select decision from core.access_reviews where api_key_id = md5('key-17')::uuid;
-- decisions about one account: access_reviews_user_id_idx
select decision from core.access_reviews where user_id = md5('user-17')::uuid;
-- what one reviewer decided: access_reviews_reviewer_id_idx
select decision from core.access_reviews where reviewer_id = md5('user-17')::uuid;
-- decisions of a week: access_reviews_imported_at_idx
select decision from core.access_reviews where imported_at >= now() - interval '7 days';
