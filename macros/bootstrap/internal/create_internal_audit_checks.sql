{#
    Which days of the audit trail were checked, and what was found: to compute every checksum takes too long for a rule, so
    Python checks some days at a time (orchestration/lib/verification/audit.py), the longest not checked first.
#}
{% macro create_internal_audit_checks() %}
create table if not exists internal.audit_checks (
    day date constraint audit_checks_pkey primary key,
    checked_at timestamptz not null default now(),
    altered uuid[] not null default '{}'
);
comment on table internal.audit_checks is 'One row per day of the audit trail, in UTC, of which every entry was checked.';
comment on column internal.audit_checks.altered is 'Entries whose checksum was not that of their columns, or that refer to a personal value that is gone; the first thousand.';
{% endmacro %}
