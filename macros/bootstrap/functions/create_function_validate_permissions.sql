{% macro create_function_validate_permissions() %}
create or replace function core.validate_permissions(permissions jsonb) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    resource text;
    actions jsonb;
    action jsonb;
    most constant integer := 1000;
    named integer := 0;
begin
    if jsonb_typeof(permissions) <> 'object' then
        raise exception 'permissions must be an object like {"teams": ["read", "update"]}, not %', jsonb_typeof(permissions)
            using errcode = 'check_violation';
    end if;
    for resource, actions in select key, value from jsonb_each(permissions) loop
        if resource !~ '^([a-z][a-z0-9_]{0,62}|[*])$' then
            raise exception 'permissions: key "%" is no resource; use lower case words such as "api_keys", or "*" for all', left(resource, 100)
                using errcode = 'check_violation';
        end if;
        if jsonb_typeof(actions) <> 'array' or jsonb_array_length(actions) = 0 then
            raise exception 'permissions: key "%" needs a list of actions such as ["read", "update"], not %', resource, left(actions::text, 100)
                using errcode = 'check_violation';
        end if;
        named := named + jsonb_array_length(actions);
        if named > most then
            raise exception 'permissions: with key "%" % actions are named, and at most % are allowed in all; use "*"', resource, named, most
                using errcode = 'check_violation';
        end if;
        for action in select value from jsonb_array_elements(actions) loop
            if jsonb_typeof(action) <> 'string' or action #>> '{}' !~ '^([a-z][a-z0-9_]{0,62}|[*])$' then
                raise exception 'permissions: key "%" has %, which is no action; use lower case words such as "read", or "*" for all', resource, left(action::text, 100)
                    using errcode = 'check_violation';
            end if;
        end loop;
        if (select count(distinct value) from jsonb_array_elements(actions)) < jsonb_array_length(actions) then
            raise exception 'permissions: key "%" names an action twice', resource using errcode = 'check_violation';
        end if;
    end loop;
    return true;
end $f$;
comment on function core.validate_permissions(jsonb) is
    'True for {"resource": ["action", …]} with * as wildcard; otherwise an error that names the offending key.';
{% endmacro %}
