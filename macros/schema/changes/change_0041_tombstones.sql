{# A seal may say that the entries of others were deleted. #}
{% macro change_0041_tombstones() %}
do $$
begin
    if to_regclass('internal.audit_seals') is null then
        return;
    end if;
    alter table internal.audit_seals
        drop constraint audit_seals_kind_check,
        add constraint audit_seals_kind_check check (kind in ('segment', 'recovery', 'tombstone'));
end $$;
{% endmacro %}
