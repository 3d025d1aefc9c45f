{# Records that say something else than the request they are of are counted by themselves, not among the duplicates. #}
{% macro change_0023_changed_requests() %}
do $$
begin
    if to_regclass('internal.load_batches') is null then
        return;
    end if;
    alter table internal.load_batches add column if not exists changed bigint not null default 0;
    comment on column internal.load_batches.changed is 'Records that say something else than the request of theirs that was stored, and were not refused for it.';
    comment on column internal.load_batches.cost_amount is 'Sum over the rows loaded, as later loads left them: whether they were changed by hand is told by it.';
end $$;
{% endmacro %}
