{% macro create_function_prevent_audit_log_modification() %}
create or replace function core.prevent_audit_log_modification() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    raise exception '% is append-only: % is refused; to correct an entry, add another one', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end $f$;
comment on function core.prevent_audit_log_modification() is
    'Trigger of audit_logs and its seals: refuses UPDATE, DELETE and TRUNCATE.';
{% endmacro %}
