{# Personal values in the audit trail: internal.personal_values says how. #}
{% macro create_personal_functions() %}
create or replace function internal.personal_reference(person uuid, named text, said text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    known bytea;
    random_salt bytea;
begin
    if person is null or coalesce(said, '') = '' then
        return said;
    end if;
    -- two transactions that note the same value at once give it two references, and neither waits
    select stored.reference into known
    from internal.personal_values as stored
    where stored.person_id = person and hashtextextended(stored.content, 0) = hashtextextended(said, 0) and stored.content = said
    limit 1;
    if known is null then
        random_salt := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
        known := sha256(random_salt || convert_to(said, 'UTF8'));
        insert into internal.personal_values (reference, person_id, field, content, salt)
        values (known, person, named, said, random_salt);
    end if;
    return 'personal:' || encode(known, 'hex');
end $f$;
comment on function internal.personal_reference(uuid, text, text) is
    'What the audit trail says instead of a value of a person; the value itself goes to personal_values.';
revoke execute on function internal.personal_reference(uuid, text, text) from public;

create or replace function internal.person_called(id_of uuid, label text) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    found_id uuid;
begin
    -- the first entries are older than the table
    if to_regclass('core.users') is null then
        return null;
    end if;
    select id into found_id from core.users where id = id_of;
    if found_id is null and position('@' in label) > 0 then
        select id into found_id from core.users where lower(email) = lower(label);
    end if;
    return found_id;
end $f$;
comment on function internal.person_called(uuid, text) is 'The user of an id, else of an address; null where there is none.';
revoke execute on function internal.person_called(uuid, text) from public;

create or replace function internal.personal_row(table_name text, of_row jsonb) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    personal constant jsonb := '{
        "users": ["email", "display_name", "metadata"],
        "sessions": ["ip_address", "user_agent"],
        "api_keys": ["name"],
        "source_identities": ["external_id"]
    }';
    person uuid;
    named text;
    answer jsonb := of_row;
begin
    if personal ? table_name then
        person := (of_row ->> case table_name when 'users' then 'id' else 'user_id' end)::uuid;
        for named in select jsonb_array_elements_text(personal -> table_name) loop
            if of_row ->> named is not null and of_row -> named <> '{}' then
                answer := answer || jsonb_build_object(
                    named, internal.personal_reference(person, table_name || '.' || named, of_row ->> named)
                );
            end if;
        end loop;
    end if;
    -- who set a limit or decided about a name
    foreach named in array array['set_by_label', 'decided_by'] loop
        if of_row ->> named is not null then
            answer := answer || jsonb_build_object(named, internal.personal_reference(
                internal.person_called((of_row ->> 'set_by')::uuid, of_row ->> named),
                table_name || '.' || named,
                of_row ->> named
            ));
        end if;
    end loop;
    return answer;
end $f$;
comment on function internal.personal_row(text, jsonb) is
    'A row as the audit trail keeps it: references where it says who somebody is.';
revoke execute on function internal.personal_row(text, jsonb) from public;

create or replace function internal.erased_values(person uuid, table_name text, before_row jsonb, after_row jsonb) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    answer jsonb := before_row;
    named text;
begin
    if not exists (select from core.users where id = person and erased_at is not null) then
        raise exception 'setting governance.erasing is "%", which is no erased user; leave it out', person
            using errcode = 'invalid_parameter_value';
    end if;
    for named in
        select before_each.key
        from jsonb_each(before_row) as before_each
        where before_each.value is distinct from after_row -> before_each.key
            and jsonb_typeof(before_each.value) in ('string', 'object', 'array')
            and before_each.value #>> '{}' !~ '^(personal:[0-9a-f]{64}|\[redacted\])$'
    loop
        answer := answer || jsonb_build_object(
            named, internal.personal_reference(person, table_name || '.' || named, before_row ->> named)
        );
    end loop;
    return answer;
end $f$;
comment on function internal.erased_values(uuid, text, jsonb, jsonb) is
    'A row before a person was erased from it, references in place of what changed.';
revoke execute on function internal.erased_values(uuid, text, jsonb, jsonb) from public;

create or replace function internal.audit_text(said text) returns text
-- who reads the trail reads whom it names, and no salt
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $f$
    select case
        when said !~ '^personal:[0-9a-f]{64}$' then said
        else coalesce(
            (
                select case when sha256(salt || convert_to(content, 'UTF8')) = reference then content else '[altered]' end
                from internal.personal_values
                where reference = decode(substr(said, 10), 'hex')
            ),
            '[erased]'
        )
    end
$f$;
comment on function internal.audit_text(text) is
    'A text of the audit trail for people: [erased] where the person was, [altered] where somebody changed what stood for it.';
revoke execute on function internal.audit_text(text) from public;

create or replace function internal.audit_row(said jsonb) returns jsonb
language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select case
        when said is null then null
        else coalesce(
            jsonb_object_agg(
                each.key,
                case when jsonb_typeof(each.value) = 'string' then to_jsonb(internal.audit_text(each.value #>> '{}')) else each.value end
            ),
            '{}'
        )
    end
    from jsonb_each(said) as each
$f$;
comment on function internal.audit_row(jsonb) is 'before or after of an entry of the audit trail for people.';

create or replace function internal.pseudonym(spelled text, salt bytea) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
    select 'erased-' || left(encode(sha256(salt || convert_to(spelled, 'UTF8')), 'hex'), 12)
        || case when position('@' in spelled) > 0 then '@erased.invalid' else '' end
$f$;
comment on function internal.pseudonym(text, bytea) is
    'What stands for a name of an erased person, of an address again an address; each spelling has its own.';

create or replace function internal.pseudonymised_text(said text, inside text[], wholes text[], salt bytea) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    answer text := said;
    pattern text;
    spelled text;
begin
    if lower(said) = any (wholes) then
        return internal.pseudonym(said, salt);
    end if;
    foreach pattern in array inside loop
        -- each spelling gets a name of its own, so what was unique stays unique
        for spelled in
            select distinct match[1]
            from regexp_matches(answer, '(?<![[:alnum:]._%+-])(' || pattern || ')(?![[:alnum:]_-]|[.][[:alnum:]])', 'gi') as match
        loop
            answer := regexp_replace(
                answer,
                '(?<![[:alnum:]._%+-])' || regexp_replace(spelled, '([^[:alnum:]])', '\\\1', 'g') || '(?![[:alnum:]_-]|[.][[:alnum:]])',
                internal.pseudonym(spelled, salt),
                'g'
            );
        end loop;
    end loop;
    return answer;
end $f$;
comment on function internal.pseudonymised_text(text, text[], text[], bytea) is
    'A text without a person: what matches a pattern as a word, or is one of the wholes in lower case, becomes a pseudonym.';

create or replace function internal.pseudonymised(said jsonb, inside text[], wholes text[], salt bytea) returns jsonb
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
begin
    case jsonb_typeof(said)
        when 'string' then
            return to_jsonb(internal.pseudonymised_text(said #>> '{}', inside, wholes, salt));
        when 'object' then
            return coalesce(
                (
                    select jsonb_object_agg(
                        internal.pseudonymised_text(key, inside, '{}', salt), internal.pseudonymised(value, inside, wholes, salt)
                    )
                    from jsonb_each(said)
                ),
                '{}'
            );
        when 'array' then
            return coalesce(
                (
                    select jsonb_agg(internal.pseudonymised(value, inside, wholes, salt) order by place)
                    from jsonb_array_elements(said) with ordinality as each (value, place)
                ),
                '[]'
            );
        else
            return said;
    end case;
end $f$;
comment on function internal.pseudonymised(jsonb, text[], text[], bytea) is 'JSON without a person: each text and key of it, as pseudonymised_text.';
{% endmacro %}
