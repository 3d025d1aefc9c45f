{#
    Text that can't be told from other text, endless times and amounts, and what is far too long are refused. Names lose
    characters that nobody sees, addresses get their normal form where no other account has it; the trail has both. Other
    rows stay as they are: the next build validates what they do not violate, unvalidated_constraints names the rest.
#}
{% macro change_0014_looks_and_bounds() %}
create or replace function internal.text_fault(key text, value text, max_length integer, takes_lines boolean default false)
returns text
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    hidden constant text :=
        E'[\\u0001-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e'
        || E'\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\U0001d173-\\U0001d17a\\U000e0000-\\U000e007f]'
        || E'|(^|[\\u0001-\\u052f])[\\u200c\\u200d]|[\\u200c\\u200d]([\\u0001-\\u052f\\u200c\\u200d]|$)';
    plain text := case when takes_lines then translate(value, E'\n\r\t', '   ') else value end;
    found text;
begin
    if length(value) > max_length then
        return format('%s has %s characters; at most %s are allowed', key, length(value), max_length);
    end if;
    if plain !~ E'[^ \\u00a0\\u1680\\u2000-\\u200d\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff\\u0009-\\u000d\\u0085]' then
        return format('%s is blank; write something that can be seen, or leave it out', key);
    end if;
    if plain ~ '^[ -~]*$' then
        return null;
    end if;
    found := substring(plain from '(' || hidden || ')');
    if found is null then
        return null;
    end if;
    -- of a joiner and its neighbour the joiner
    found := coalesce(substring(found from E'[\\u200c\\u200d]'), found);
    return format(
        '%s has the character U+%s at place %s, which cannot be seen; leave it out',
        key, regexp_replace(upper('000' || to_hex(ascii(found))), '^0+(?=.{4})', ''), strpos(plain, found)
    );
end $f$;
comment on function internal.text_fault(text, text, integer, boolean) is
    'What is wrong with a text that people see, in a sentence that names the key; null where nothing is. The last argument: may it have several lines.';
create or replace function internal.validate_text(key text, value text, max_length integer, takes_lines boolean default false)
returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text := internal.text_fault(key, value, max_length, takes_lines);
begin
    if fault is not null then
        raise exception '%', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_text(text, text, integer, boolean) is
    'True for text that can be seen and is not too long; otherwise an error that names the key.';
create or replace function internal.email_fault(key text, value text) returns text
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    latin constant text := E'[A-Za-z\\u00aa\\u00ba\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u024f\\u1e00-\\u1eff\\u2c60-\\u2c7f]';
    greek constant text := E'[\\u0370-\\u03ff\\u1f00-\\u1fff\\u2c80-\\u2cff]';
    cyrillic constant text := E'[\\u0400-\\u052f\\u1c80-\\u1c8f\\u2de0-\\u2dff\\ua640-\\ua69f]';
    others constant text := E'[\\u0530-\\u058f\\u10a0-\\u10ff\\u13a0-\\u13ff\\u1c90-\\u1cbf\\u2c00-\\u2c5f\\ua4d0-\\ua4ff\\uab70-\\uabbf]';
    fault text;
    part text;
begin
    if value ~ '^[!-~]*$' then
        return null;
    end if;
    fault := internal.text_fault(key, value, 254);
    if fault is not null then
        return fault;
    end if;
    if value ~ E'[\\u200c\\u200d\\ufe00-\\ufe0f\\U000e0100-\\U000e01ef]' then
        return format('%s has a character that cannot be seen; leave it out', key);
    end if;
    if value is not nfkc normalized then
        return format('%s is not in Unicode''s normal form NFKC, so it could look like another address; write it as normalize(…, NFKC) does', key);
    end if;
    foreach part in array regexp_split_to_array(value, '[.@_+-]') loop
        if (part ~ latin)::integer + (part ~ greek)::integer + (part ~ cyrillic)::integer + (part ~ others)::integer > 1 then
            return format('%s has letters of several scripts in "%s", so it could look like another address; write each part in one script', key, part);
        end if;
    end loop;
    return null;
end $f$;
comment on function internal.email_fault(text, text) is
    'Why an address could look like another one, in a sentence that names the key; null where it cannot.';
create or replace function internal.validate_email(key text, value text) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    fault text := internal.email_fault(key, value);
begin
    if fault is not null then
        raise exception '%', fault using errcode = 'check_violation';
    end if;
    return true;
end $f$;
comment on function internal.validate_email(text, text) is
    'True for an address that cannot be written in another way that looks the same; otherwise an error that names the key.';
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
do $$
declare
    hidden constant text :=
        E'[\\u0001-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e'
        || E'\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\U0001d173-\\U0001d17a\\U000e0000-\\U000e007f]';
    named record;
    one record;
begin
    perform set_config('governance.managing_rows', 'on', true);
    for named in
        select * from (values
            ('users', 'display_name'), ('teams', 'name'), ('roles', 'name'), ('policies', 'name'), ('api_keys', 'name'), ('alerts', 'title')
        ) as names (relation, field)
        where to_regclass('core.' || relation) is not null
    loop
        execute format('update core.%1$I set %2$I = regexp_replace(%2$I, $1, $2, $3) where %2$I ~ $1 and btrim(regexp_replace(%2$I, $1, $2, $3)) <> $2', named.relation, named.field)
            using hidden, '', 'g';
    end loop;
    perform set_config('governance.managing_rows', '', true);
    if to_regclass('core.users') is not null then
        for one in select id, normalize(email, nfkc) as email from core.users where email is not nfkc normalized loop
            begin
                update core.users set email = one.email where id = one.id;
            exception
                when unique_violation or check_violation then
                    raise warning 'account % keeps its address, for another one has it in its normal form', one.id;
            end;
        end loop;
    end if;
end $$;
alter table if exists core.users
    drop constraint if exists users_display_name_check,
    add constraint users_display_name_check check (internal.validate_text('users.display_name', display_name, 200)) not valid,
    drop constraint if exists users_locked_until_check,
    add constraint users_locked_until_check check (locked_until > '-infinity') not valid,
    drop constraint if exists users_password_changed_at_check,
    add constraint users_password_changed_at_check check (isfinite(password_changed_at)) not valid,
    drop constraint if exists users_metadata_check,
    add constraint users_metadata_check check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536) not valid,
    drop constraint if exists users_created_at_check,
    add constraint users_created_at_check check (isfinite(created_at)) not valid,
    drop constraint if exists users_deleted_at_check,
    add constraint users_deleted_at_check check (isfinite(deleted_at)) not valid,
    drop constraint if exists users_email_look_check,
    add constraint users_email_look_check check (internal.validate_email('users.email', email)) not valid;
alter table if exists core.mfa_secrets
    drop constraint if exists mfa_secrets_secret_ciphertext_check,
    add constraint mfa_secrets_secret_ciphertext_check check (octet_length(secret_ciphertext) between 44 and 4096 and encode(secret_ciphertext, 'escape') !~ '^([A-Za-z2-7 =-]+|otpauth:.*)$') not valid,
    drop constraint if exists mfa_secrets_encryption_key_id_check,
    add constraint mfa_secrets_encryption_key_id_check check (internal.validate_text('mfa_secrets.encryption_key_id', encryption_key_id, 200)) not valid,
    drop constraint if exists mfa_secrets_backup_code_hashes_check,
    add constraint mfa_secrets_backup_code_hashes_check check (internal.are_sha256(backup_code_hashes) and cardinality(backup_code_hashes) <= 100) not valid,
    drop constraint if exists mfa_secrets_confirmed_at_check,
    add constraint mfa_secrets_confirmed_at_check check (isfinite(confirmed_at)) not valid,
    drop constraint if exists mfa_secrets_last_used_at_check,
    add constraint mfa_secrets_last_used_at_check check (isfinite(last_used_at)) not valid;
alter table if exists core.sessions
    drop constraint if exists sessions_user_agent_check,
    add constraint sessions_user_agent_check check (internal.validate_text('sessions.user_agent', nullif(user_agent, ''), 2000)) not valid,
    drop constraint if exists sessions_revoked_at_check,
    add constraint sessions_revoked_at_check check (revoked_at >= created_at and isfinite(revoked_at)) not valid,
    drop constraint if exists sessions_revoked_reason_check,
    add constraint sessions_revoked_reason_check check (revoked_reason is null or revoked_at is not null and internal.validate_text('sessions.revoked_reason', revoked_reason, 500)) not valid;
alter table if exists core.api_keys
    drop constraint if exists api_keys_name_check,
    add constraint api_keys_name_check check (internal.validate_text('api_keys.name', name, 200)) not valid,
    drop constraint if exists api_keys_last_used_at_check,
    add constraint api_keys_last_used_at_check check (isfinite(last_used_at)) not valid,
    drop constraint if exists api_keys_created_at_check,
    add constraint api_keys_created_at_check check (isfinite(created_at)) not valid,
    drop constraint if exists api_keys_expires_at_check,
    add constraint api_keys_expires_at_check check (expires_at > created_at and isfinite(expires_at)) not valid,
    drop constraint if exists api_keys_revoked_at_check,
    add constraint api_keys_revoked_at_check check (revoked_at >= created_at and isfinite(revoked_at)) not valid,
    drop constraint if exists api_keys_scopes_check,
    add constraint api_keys_scopes_check check (core.validate_permissions(scopes)) not valid;
alter table if exists core.roles
    drop constraint if exists roles_slug_check,
    add constraint roles_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100) not valid,
    drop constraint if exists roles_name_check,
    add constraint roles_name_check check (internal.validate_text('roles.name', name, 200)) not valid,
    drop constraint if exists roles_description_check,
    add constraint roles_description_check check (internal.validate_text('roles.description', description, 2000, true)) not valid,
    drop constraint if exists roles_created_at_check,
    add constraint roles_created_at_check check (isfinite(created_at)) not valid,
    drop constraint if exists roles_permissions_check,
    add constraint roles_permissions_check check (core.validate_permissions(permissions)) not valid;
alter table if exists core.user_roles
    drop constraint if exists user_roles_granted_at_check,
    add constraint user_roles_granted_at_check check (isfinite(granted_at)) not valid,
    drop constraint if exists user_roles_expires_at_check,
    add constraint user_roles_expires_at_check check (expires_at > granted_at and isfinite(expires_at)) not valid,
    drop constraint if exists user_roles_revoked_at_check,
    add constraint user_roles_revoked_at_check check (revoked_at >= granted_at and isfinite(revoked_at)) not valid;
alter table if exists core.teams
    drop constraint if exists teams_name_check,
    add constraint teams_name_check check (internal.validate_text('teams.name', name, 200)) not valid,
    drop constraint if exists teams_slug_check,
    add constraint teams_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100) not valid,
    drop constraint if exists teams_description_check,
    add constraint teams_description_check check (internal.validate_text('teams.description', description, 2000, true)) not valid,
    drop constraint if exists teams_budget_amount_check,
    add constraint teams_budget_amount_check check (budget_amount >= 0 and budget_amount < 1e15 and min_scale(budget_amount) <= 40) not valid,
    drop constraint if exists teams_cost_center_check,
    add constraint teams_cost_center_check check (internal.validate_text('teams.cost_center', cost_center, 100)) not valid,
    drop constraint if exists teams_created_at_check,
    add constraint teams_created_at_check check (isfinite(created_at)) not valid,
    drop constraint if exists teams_deleted_at_check,
    add constraint teams_deleted_at_check check (isfinite(deleted_at)) not valid;
alter table if exists core.team_members
    drop constraint if exists team_members_joined_at_check,
    add constraint team_members_joined_at_check check (isfinite(joined_at)) not valid,
    drop constraint if exists team_members_left_at_check,
    add constraint team_members_left_at_check check (left_at >= joined_at and isfinite(left_at)) not valid;
alter table if exists core.policies
    drop constraint if exists policies_name_check,
    add constraint policies_name_check check (internal.validate_text('policies.name', name, 200)) not valid,
    drop constraint if exists policies_slug_check,
    add constraint policies_slug_check check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100) not valid,
    drop constraint if exists policies_description_check,
    add constraint policies_description_check check (internal.validate_text('policies.description', description, 2000, true)) not valid,
    drop constraint if exists policies_effective_from_check,
    add constraint policies_effective_from_check check (isfinite(effective_from)) not valid,
    drop constraint if exists policies_effective_to_check,
    add constraint policies_effective_to_check check (effective_to >= effective_from and isfinite(effective_to)) not valid,
    drop constraint if exists policies_rules_check,
    add constraint policies_rules_check check (internal.validate_policy_rules(policy_type, rules)) not valid;
alter table if exists core.policy_assignments
    drop constraint if exists policy_assignments_effective_from_check,
    add constraint policy_assignments_effective_from_check check (isfinite(effective_from)) not valid,
    drop constraint if exists policy_assignments_expires_at_check,
    add constraint policy_assignments_expires_at_check check (expires_at >= effective_from and isfinite(expires_at)) not valid;
alter table if exists core.alerts
    drop constraint if exists alerts_alert_type_check,
    add constraint alerts_alert_type_check check (alert_type ~ '^[a-z][a-z0-9_]{0,99}$') not valid,
    drop constraint if exists alerts_title_check,
    add constraint alerts_title_check check (internal.validate_text('alerts.title', title, 300)) not valid,
    drop constraint if exists alerts_details_check,
    add constraint alerts_details_check check (jsonb_typeof(details) = 'object' and octet_length(details::text) <= 65536) not valid,
    drop constraint if exists alerts_dedupe_key_check,
    add constraint alerts_dedupe_key_check check (internal.validate_text('alerts.dedupe_key', dedupe_key, 500)) not valid,
    drop constraint if exists alerts_status_times_check,
    add constraint alerts_status_times_check check (internal.validate_alert_times(status, acknowledged_at, resolved_at)) not valid;
alter table if exists core.alert_subscriptions
    drop constraint if exists alert_subscriptions_alert_type_check,
    add constraint alert_subscriptions_alert_type_check check (alert_type ~ '^([a-z][a-z0-9_]{0,99}|[*])$') not valid,
    drop constraint if exists alert_subscriptions_target_look_check,
    add constraint alert_subscriptions_target_look_check check (internal.validate_text('alert_subscriptions.target', target, 2000)) not valid
{% endmacro %}
