{#
    What comparing a password with well-known ones found. SQL can't compare (bcrypt, a quarter of a second a guess), so
    Python does, once for each password and list; a finding belongs to the hash it was made of, and shows nothing of it.
#}
{% macro create_internal_password_findings() %}
create table if not exists internal.password_findings (
    user_id uuid constraint password_findings_pkey primary key,
    fingerprint bytea not null constraint password_findings_fingerprint_check check (octet_length(fingerprint) = 32),
    compared_with text not null,
    finding text constraint password_findings_finding_check check (finding in ('default', 'common', 'unreadable', 'costly')),
    judged_at timestamptz not null default now()
);
comment on table internal.password_findings is 'One row per account whose password was compared with well-known ones.';
comment on column internal.password_findings.fingerprint is 'SHA-256 of the bcrypt hash: of another password a finding says nothing.';
comment on column internal.password_findings.compared_with is 'Fingerprint of the list of passwords it was compared with.';
comment on column internal.password_findings.finding is 'default (the documented one of the first account), common, unreadable (no hash that bcrypt knows), costly (a guess takes too long), or null: none of the list.';
{% endmacro %}
