{#
    What is in force is asked of the clock: a version counts from when it was published, whether or not a later one has
    been published since. Of versions published before this the time is not known; the row's is taken.
#}
{% macro change_0013_published_at() %}
do $$
begin
    if to_regclass('core.policies') is null then
        return;
    end if;
    alter table core.policies add column if not exists published_at timestamptz constraint policies_published_at_check check (isfinite(published_at));
    -- it is what was true before: no entry of the trail, no updated_at
    alter table core.policies disable trigger user;
    update core.policies set published_at = case when isfinite(created_at) then created_at else now() end where is_active or effective_to is not null;
    alter table core.policies enable trigger user;
end $$
{% endmacro %}
