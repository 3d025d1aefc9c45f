-- The role that Grafana reads with; run by the service `grafana-role` each time. It may read schema reporting and nothing else.
-- psql -v ON_ERROR_STOP=1 -f role.sql, with the role's password in GRAFANA_DATABASE_PASSWORD.
\getenv password GRAFANA_DATABASE_PASSWORD
\if :{?password}
\else
\set password ''
\endif
select :'password' = '' as is_missing \gset
\if :is_missing
do $$
begin
    raise exception 'set GRAFANA_DATABASE_PASSWORD in .env: the password of the database role that Grafana reads with';
end $$;
\endif
select 'create role grafana' where not exists (select from pg_roles where rolname = 'grafana') \gexec
alter role grafana login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
-- a chart that nobody waits for any more ends
alter role grafana set statement_timeout = '30s';
alter role grafana set default_transaction_read_only = on;

grant usage on schema reporting to grafana;
grant select on all tables in schema reporting to grafana;
-- a view that is rebuilt keeps that
alter default privileges in schema reporting grant select on tables to grafana;
