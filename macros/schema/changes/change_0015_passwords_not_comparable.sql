{# A stored hash that bcrypt can't read, or not within seconds, is a finding too, not the end of the search. #}
{% macro change_0015_passwords_not_comparable() %}
do $$
begin
    if to_regclass('internal.password_findings') is null then
        return;
    end if;
    alter table internal.password_findings
        drop constraint if exists password_findings_finding_check,
        add constraint password_findings_finding_check check (finding in ('default', 'common', 'unreadable', 'costly'));
    comment on column internal.password_findings.finding is 'default (the first one of the specification), common, unreadable (no hash that bcrypt knows), costly (a guess takes too long), or null: none of the list.';
end $$
{% endmacro %}
