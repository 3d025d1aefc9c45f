-- The role that PgBouncer gives to applications, and what it may do; run by the service `applications` after each build.
-- psql -v ON_ERROR_STOP=1 -f applications.sql, with the role's password in GOVERNANCE_APPLICATIONS_PASSWORD.
\getenv password GOVERNANCE_APPLICATIONS_PASSWORD
select 'create role applications' where not exists (select from pg_roles where rolname = 'applications') \gexec
alter role applications login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';

-- internal: the functions that constraints call; nothing of its tables
grant usage on schema core, internal, reporting to applications;
grant select on all tables in schema reporting to applications;

-- people, teams, access, keys, policies, alerts
select format('grant select, insert, update, delete on core.%I to applications', relname)
from pg_class
where relnamespace = 'core'::regnamespace
    and relkind = 'r'
    and not relispartition
    and relname not in ('audit_logs', 'llm_metrics', 'system_metrics')
\gexec
-- what happened is added, never changed; ON CONFLICT reads its columns
grant insert on core.llm_metrics, core.system_metrics, core.audit_logs to applications;
grant select (request_id, time) on core.llm_metrics to applications;
