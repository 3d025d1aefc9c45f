{#
    The personal values of the audit trail. An entry can never be changed, so where it names a person it holds a reference:
    the hash of a random salt and the value. The value is here, and erasing a person deletes it with its salt: what is left
    in the trail tells nothing, and is sealed as before. An altered value no longer fits its reference.
#}
{% macro create_internal_personal_values() %}
create table if not exists internal.personal_values (
    reference bytea constraint personal_values_pkey primary key constraint personal_values_reference_check check (octet_length(reference) = 32),
    person_id uuid not null,
    field text not null,
    content text not null,
    salt bytea not null constraint personal_values_salt_check check (octet_length(salt) = 32),
    noted_at timestamptz not null default now()
);
create index if not exists personal_values_person_id_content_idx
    on internal.personal_values (person_id, hashtextextended(content, 0));
comment on table internal.personal_values is 'One row per personal value that entries of the audit trail refer to; erasing a person deletes theirs.';
comment on column internal.personal_values.reference is 'SHA-256 of the salt and the value; the trail says personal: and this in hexadecimal.';
comment on column internal.personal_values.person_id is 'Whose it is, in core.users.';
comment on column internal.personal_values.field is 'Where it was seen first: users.email, sessions.ip_address, actor_label …';
comment on column internal.personal_values.content is 'The value as text.';
comment on column internal.personal_values.salt is 'Random: without it nobody can try values against a reference.';
comment on index internal.personal_values_person_id_content_idx is 'The reference of a value that is known; what belongs to a person.';
{% endmacro %}
