{#
    Which keys a policy type knows and what each must be. Amounts are strings, since a JSON number becomes a float in
    most clients. `needs`: keys that must be there; where none is named, at least one of the type's keys must be.
#}
{% macro create_function_validate_policy_rules() %}
create or replace function internal.validate_policy_rules(policy_type text, rules jsonb) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    known jsonb := case policy_type
        when 'cost_limit' then '{"currency": "currency", "daily": "amount", "monthly": "amount", "quarterly": "amount", "yearly": "amount"}'
        when 'rate_limit' then '{
            "requests_per_minute": "count", "requests_per_hour": "count", "requests_per_day": "count",
            "tokens_per_minute": "count", "tokens_per_hour": "count", "tokens_per_day": "count"
        }'
        when 'content_filter' then '{"detect": "words", "action": "action"}'
        when 'security' then '{"require_mfa": "flag", "max_session_hours": "count", "max_key_age_days": "count"}'
        when 'model_allowlist' then '{"models": "patterns"}'
        when 'data_residency' then '{"regions": "patterns"}'
    end;
    needs text[] := case policy_type
        when 'cost_limit' then array['currency']
        when 'content_filter' then array['detect', 'action']
        when 'model_allowlist' then array['models']
        when 'data_residency' then array['regions']
        else '{}'
    end;
    -- of each list what comes later holds for longer, so less in all would never be reached by what comes before
    rising text[] := case policy_type
        when 'cost_limit' then array['daily', 'monthly', 'quarterly', 'yearly']
        when 'rate_limit' then array[
            'requests_per_minute', 'requests_per_hour', 'requests_per_day', 'tokens_per_minute', 'tokens_per_hour', 'tokens_per_day'
        ]
        else '{}'
    end;
    key text;
    value jsonb;
    below text;
    plain text;
    kind text;
    is_valid boolean;
begin
    if known is null then
        raise exception 'policy type "%" is not known', policy_type using errcode = 'check_violation';
    end if;
    if jsonb_typeof(rules) <> 'object' then
        raise exception '% rules must be an object, not %', policy_type, jsonb_typeof(rules) using errcode = 'check_violation';
    end if;
    for key, value in select * from jsonb_each(rules) loop
        kind := known ->> key;
        if kind is null then
            raise exception '% rules: key "%" is not known; known are %',
                policy_type, key, (select string_agg(k, ', ' order by k) from jsonb_object_keys(known) as k)
                using errcode = 'check_violation';
        end if;
        plain := value #>> '{}';
        is_valid := case kind
            when 'amount' then jsonb_typeof(value) = 'string' and plain ~ '^[0-9]{1,15}([.][0-9]{1,10})?$'
            when 'currency' then jsonb_typeof(value) = 'string' and plain ~ '^[A-Z]{3}$'
            when 'count' then jsonb_typeof(value) = 'number' and plain ~ '^[1-9][0-9]{0,14}$'
            when 'flag' then jsonb_typeof(value) = 'boolean'
            when 'action' then jsonb_typeof(value) = 'string' and plain in ('block', 'redact', 'flag')
            when 'words' then internal.is_text_list(value, '^[a-z][a-z0-9_]{0,62}$')
            when 'patterns' then internal.is_text_list(value, '^[!-~]{1,200}$')
        end;
        if not is_valid then
            raise exception '% rules: key "%" is %, but must be %', policy_type, key, left(value::text, 200), case kind
                when 'amount' then 'an amount as a string, such as "100.00"'
                when 'currency' then 'a currency code, such as "USD"'
                when 'count' then 'a whole number above 0'
                when 'flag' then 'true or false'
                when 'action' then '"block", "redact" or "flag"'
                when 'words' then 'a list of at most 1000 different lower case words, such as ["email", "phone"]'
                when 'patterns' then 'a list of at most 1000 different patterns of ASCII without spaces, such as ["eu-*"]'
            end using errcode = 'check_violation';
        end if;
    end loop;
    foreach key in array needs loop
        if not rules ? key then
            raise exception '% rules: key "%" is missing', policy_type, key using errcode = 'check_violation';
        end if;
    end loop;
    if not exists (select from jsonb_object_keys(rules) as k where k <> 'currency') then
        raise exception '% rules: at least one of % is needed',
            policy_type, (select string_agg(k, ', ' order by k) from jsonb_object_keys(known) as k where k <> 'currency')
            using errcode = 'check_violation';
    end if;
    foreach key in array rising loop
        if rules ? key then
            if split_part(below, '_', 1) = split_part(key, '_', 1) or policy_type = 'cost_limit' then
                if (rules ->> key)::numeric < (rules ->> below)::numeric then
                    raise exception '% rules: key "%" is %, which is below % of key "%" and would make it meaningless',
                        policy_type, key, rules ->> key, rules ->> below, below
                        using errcode = 'check_violation';
                end if;
            end if;
            below := key;
        end if;
    end loop;
    return true;
end $f$;
comment on function internal.validate_policy_rules(text, jsonb) is
    'True for rules that fit their policy type; otherwise an error that names the offending key.';
{% endmacro %}
