-- Passwords of the roles that Dagster and the build log in with, and whose the database is; run as the superuser by the service
-- `logins`, after `governance roles apply` has made the roles and before the build.
-- psql -v ON_ERROR_STOP=1 -f logins.sql, with the passwords in GOVERNANCE_MIGRATOR_PASSWORD, GOVERNANCE_DBT_PASSWORD and
-- GOVERNANCE_READER_PASSWORD; a role without one keeps what it has.
-- a password is in no log of the server, whatever that logs
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
set pg_stat_statements.track_utility = off;
\getenv migrator GOVERNANCE_MIGRATOR_PASSWORD
\getenv dbt GOVERNANCE_DBT_PASSWORD
\getenv reader GOVERNANCE_READER_PASSWORD
alter role governance_migrator login password :'migrator';
alter role governance_dbt login password :'dbt';
select format('alter role governance_reader login password %L', :'reader') where :'reader' <> '' \gexec
alter database :"DBNAME" owner to governance_owner;
