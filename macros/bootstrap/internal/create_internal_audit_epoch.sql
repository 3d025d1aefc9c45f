{% macro create_internal_audit_epoch() %}
create table if not exists internal.audit_epoch (
    is_only_row boolean not null default true constraint audit_epoch_pkey primary key constraint audit_epoch_is_only_row_check check (is_only_row),
    epoch bigint not null default 1 constraint audit_epoch_epoch_check check (epoch >= 1)
);
comment on table internal.audit_epoch is 'One row: the epoch of the audit trail, raised by a restore, since transaction ids start anew in another cluster.';
insert into internal.audit_epoch default values on conflict do nothing;
{% endmacro %}
