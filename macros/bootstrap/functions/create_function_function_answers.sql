{#
    Asks functions that everything relies on what only one answer to is right. SECURITY DEFINER, so that a reader of
    verification who may nothing else gets the answers: it takes no argument and reads no table.
#}
{% macro create_function_function_answers() %}
create or replace function internal.function_answers()
returns table (called text, expected text, answered text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
begin
    for called, expected in
        select * from (values
            ($$core.validate_permissions('{"models": ["use"], "*": ["*"]}')$$, 'true'),
            ($$core.validate_permissions('{"models": "use"}')$$, 'refused'),
            ($$core.validate_permissions('{"models": ["use", "use"]}')$$, 'refused'),
            ($$internal.validate_policy_rules('cost_limit', '{"currency": "USD", "daily": "1.00"}')$$, 'true'),
            ($$internal.validate_policy_rules('cost_limit', '{"daily": "1.00"}')$$, 'refused'),
            ($$internal.are_sha256(array[sha256('')])$$, 'true'),
            ($$internal.are_sha256(array['abc'::bytea])$$, 'false'),
            (
                $$core.generate_audit_checksum(
                    1::smallint, '11111111-1111-4111-8111-111111111111', 1, '4711'::xid8,
                    '2025-03-30 01:00:00.000001+00', '2025-03-30 00:59:59.999999+00', 'governance_app', 'user',
                    '22222222-2222-4222-8222-222222222222', 'someone@example.com', 'users.update', 'users',
                    '33333333-3333-4333-8333-333333333333', '{"status": "invited"}', '{"status": "active"}', 'success',
                    '192.0.2.7', 'curl/8', 'r-1', '{"changed": ["status"]}'
                )$$,
                '\x0217cccf6fecc9b795b75a2868bc289c21f82abcfd4edf248900a8b7391e5466'
            )
        ) as questions
    loop
        begin
            execute 'select (' || called || ')::text' into answered;
        exception
            when check_violation then answered := 'refused';
            when others then answered := sqlerrm;
        end;
        return next;
    end loop;
end $f$;
comment on function internal.function_answers() is
    'One row per question to a function that has one right answer: the call, that answer, and what it answered.';
{% endmacro %}
