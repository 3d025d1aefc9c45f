{# On UPDATE only: an INSERT may say `on conflict do nothing`, and the unique index holds either way. #}
{% macro create_function_refuse_second_open_alert() %}
create or replace function internal.refuse_second_open_alert() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    other record;
begin
    if new.status in ('open', 'acknowledged') and old.status not in ('open', 'acknowledged') then
        select id, status, created_at into other
        from core.alerts
        where dedupe_key = new.dedupe_key and status in ('open', 'acknowledged') and id <> new.id;
        if found then
            raise exception 'alert % cannot be opened again: % of the same dedupe_key "%" is % since %; work on that one',
                new.id, other.id, new.dedupe_key, other.status, date_trunc('second', other.created_at)
                using errcode = 'unique_violation', constraint = 'alerts_dedupe_key_unresolved_key';
        end if;
    end if;
    return new;
end $f$;
comment on function internal.refuse_second_open_alert() is
    'Trigger of alerts: says why an alert cannot be opened again while another one of its dedupe_key is.';
{% endmacro %}
