-- The role that PgBouncer gives to applications: a login that is a member of governance_app, whose rights
-- `governance roles apply` and each build keep. Run by the service `applications` after each build.
-- psql -v ON_ERROR_STOP=1 -f applications.sql, with the role's password in GOVERNANCE_APPLICATIONS_PASSWORD.
-- a password is in no log of the server, whatever that logs
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
set pg_stat_statements.track_utility = off;
\getenv password GOVERNANCE_APPLICATIONS_PASSWORD
select 'create role applications' where not exists (select from pg_roles where rolname = 'applications') \gexec
alter role applications login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
-- rights of its own, which an earlier release gave
revoke all on all tables in schema core, reporting from applications;
revoke all on schema core, internal, reporting from applications;
grant governance_app to applications;
