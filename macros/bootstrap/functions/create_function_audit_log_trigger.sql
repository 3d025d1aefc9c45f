{% macro create_function_audit_log_trigger() %}
create or replace function core.audit_log_trigger() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    is_replaced boolean;
begin
    new.recorded_at := clock_timestamp();
    new.occurred_at := coalesce(new.occurred_at, new.recorded_at);
    if not isfinite(new.occurred_at) then
        raise exception 'audit_logs: occurred_at is %, which is no time; give the time of the event, or none for now', new.occurred_at
            using errcode = 'check_violation';
    end if;
    new.xid := pg_current_xact_id();
    select epoch, xmax <> '0' into new.epoch, is_replaced from internal.audit_epoch;
    if is_replaced then
        -- a snapshot older than the epoch in force (repeatable read): the lock fails, and the transaction is tried again
        perform from internal.audit_epoch for share;
    end if;
    new.db_user := session_user;
    if new.actor_id is not null or position('@' in new.actor_label) > 0 then
        new.actor_label := internal.personal_reference(
            internal.person_called(new.actor_id, new.actor_label), 'actor_label', new.actor_label
        );
    end if;
    new.checksum_version := 1;
    -- as core.generate_audit_checksum, which would be planned anew in each transaction
    new.checksum := sha256(decode('01', 'hex') || convert_to({{ audit_canonical('new.') | indent(4) }}, 'UTF8'));
    return new;
end $f$;
comment on function core.audit_log_trigger() is
    'Trigger of audit_logs: recorded_at, xid, epoch, db_user and checksum are the server''s, whatever was given.';
revoke execute on function core.audit_log_trigger() from public;
{% endmacro %}
