{% macro create_function_validate_alert_times() %}
create or replace function internal.validate_alert_times(status text, acknowledged_at timestamptz, resolved_at timestamptz)
returns boolean
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text := case
        when status = 'open' and num_nonnulls(acknowledged_at, resolved_at) > 0 then
            'status open has neither acknowledged_at nor resolved_at; empty them, or set another status'
        when status = 'acknowledged' and acknowledged_at is null then 'status acknowledged needs acknowledged_at'
        when status = 'acknowledged' and resolved_at is not null then
            'status acknowledged has no resolved_at; empty it, or set status to resolved'
        when status = 'resolved' and resolved_at is null then 'status resolved needs resolved_at'
        when resolved_at < acknowledged_at then 'resolved_at is before acknowledged_at'
    end;
begin
    if fault is not null then
        raise exception 'alerts: %', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_alert_times(text, timestamptz, timestamptz) is
    'True for times that fit the status of an alert; otherwise an error that says what does not.';
{% endmacro %}
