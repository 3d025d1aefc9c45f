{#
    The application says who acts, for its transaction only (so a pooled connection keeps nothing):
    set local governance.actor_id, actor_type, actor_label, request_id, ip_address, user_agent. Otherwise it was the system.
#}
{% macro create_function_audit_row_change() %}
create or replace function internal.audit_row_change() returns trigger
-- the time zone: times in before and after read the same whoever writes
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    noise constant text[] := array['updated_at', 'last_seen_at', 'last_used_at', 'last_login_at'];
    secrets constant text[] := array['password_hash', 'token_hash', 'key_hash', 'secret_ciphertext', 'backup_code_hashes'];
    before_row jsonb := case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) end;
    after_row jsonb := case when tg_op in ('INSERT', 'UPDATE') then to_jsonb(new) end;
    actor text := nullif(current_setting('governance.actor_id', true), '');
    -- set while a person is erased: what goes is theirs
    erased text := nullif(current_setting('governance.erasing', true), '');
    changed text[];
    secret text;
begin
    if tg_op = 'UPDATE' then
        select array_agg(key order by key) into changed
        from jsonb_each(after_row)
        where value is distinct from before_row -> key and key <> all (noise);
        if changed is null then
            return null;
        end if;
    end if;
    if actor !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        raise exception 'setting governance.actor_id is "%", which is no uuid; set it to the id of the user who acts, or leave it out', actor
            using errcode = 'invalid_parameter_value';
    end if;
    foreach secret in array secrets loop
        if before_row ->> secret is not null then
            before_row := before_row || jsonb_build_object(secret, '[redacted]');
        end if;
        if after_row ->> secret is not null then
            after_row := after_row || jsonb_build_object(secret, '[redacted]');
        end if;
    end loop;
    before_row := internal.personal_row(tg_table_name, before_row);
    after_row := internal.personal_row(tg_table_name, after_row);
    if tg_op = 'UPDATE' and erased is not null then
        before_row := internal.erased_values(erased::uuid, tg_table_name, before_row, after_row);
    end if;
    insert into core.audit_logs (
        actor_type, actor_id, actor_label, action, resource_type, resource_id, before, after,
        ip_address, user_agent, request_id, metadata
    )
    values (
        coalesce(nullif(current_setting('governance.actor_type', true), ''), case when actor is null then 'system' else 'user' end),
        actor::uuid,
        coalesce(nullif(current_setting('governance.actor_label', true), ''), case when actor is null then session_user::text end),
        tg_table_name || '.' || lower(tg_op),
        tg_table_name,
        (coalesce(after_row, before_row) ->> 'id')::uuid,
        before_row,
        after_row,
        nullif(current_setting('governance.ip_address', true), '')::inet,
        nullif(current_setting('governance.user_agent', true), ''),
        nullif(current_setting('governance.request_id', true), ''),
        case when tg_op = 'UPDATE' then jsonb_build_object('changed', to_jsonb(changed)) else '{}' end
    );
    return null;
end $f$;
comment on function internal.audit_row_change() is
    'Trigger: writes a change of a row to audit_logs with who, before and after; secrets redacted, people by reference, noise such as last_seen_at skipped.';
revoke execute on function internal.audit_row_change() from public;
{% endmacro %}
