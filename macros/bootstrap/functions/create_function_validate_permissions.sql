{% macro create_function_validate_permissions() %}
create or replace function core.validate_permissions(permissions jsonb) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    resource text;
    actions jsonb;
    action jsonb;
begin
    if jsonb_typeof(permissions) <> 'object' then
        raise exception 'permissions must be an object like {"teams": ["read", "update"]}, not %', jsonb_typeof(permissions)
            using errcode = 'check_violation';
    end if;
    for resource, actions in select key, value from jsonb_each(permissions) loop
        if resource !~ '^([a-z][a-z0-9_]*|[*])$' then
            raise exception 'permissions: key "%" is no resource; use lower case words such as "api_keys", or "*" for all', resource
                using errcode = 'check_violation';
        end if;
        if jsonb_typeof(actions) <> 'array' or jsonb_array_length(actions) = 0 then
            raise exception 'permissions: key "%" needs a list of actions such as ["read", "update"], not %', resource, actions
                using errcode = 'check_violation';
        end if;
        for action in select value from jsonb_array_elements(actions) loop
            if jsonb_typeof(action) <> 'string' or action #>> '{}' !~ '^([a-z][a-z0-9_]*|[*])$' then
                raise exception 'permissions: key "%" has %, which is no action; use lower case words such as "read", or "*" for all', resource, action
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
