{# Who changed what, before and after, into core.audit_logs; the table must exist before the first row, so depend on it. #}
{% macro create_audit_triggers(relation) %}
{%- set table = relation.identifier %}
create or replace trigger {{ table }}_audit after insert or update or delete on {{ relation }}
    for each row execute function internal.audit_row_change();
comment on trigger {{ table }}_audit on {{ relation }} is 'Writes each change of a row to audit_logs, secrets redacted.';
create or replace trigger {{ table }}_audit_truncate after truncate on {{ relation }}
    for each statement execute function internal.audit_row_change();
comment on trigger {{ table }}_audit_truncate on {{ relation }} is 'Writes to audit_logs that the table was emptied, which no row trigger sees.';
-- also in a session that pretends to be a replica
alter table {{ relation }} enable always trigger {{ table }}_audit, enable always trigger {{ table }}_audit_truncate;
{% endmacro %}
