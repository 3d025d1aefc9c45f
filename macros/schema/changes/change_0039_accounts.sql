{# A person can be erased, and a code of the second factor serves once. #}
{% macro change_0039_accounts() %}
do $$
begin
    if to_regclass('core.users') is not null then
        alter table core.users add column if not exists erased_at timestamptz constraint users_erased_at_check check (isfinite(erased_at));
        alter table core.users drop constraint if exists users_erased_at_deleted_at_check;
        alter table core.users add constraint users_erased_at_deleted_at_check
            check (erased_at is null or deleted_at is not null and password_hash is null);
        comment on column core.users.erased_at is 'When the person was erased: name and address are pseudonyms since.';
    end if;
    if to_regclass('core.mfa_secrets') is not null then
        alter table core.mfa_secrets add column if not exists last_used_step bigint
            constraint mfa_secrets_last_used_step_check check (last_used_step >= 0);
        comment on column core.mfa_secrets.last_used_step is
            'Number of the half minute whose code was accepted last; no code of it or an older one is accepted again.';
    end if;
end $$;
{% endmacro %}
