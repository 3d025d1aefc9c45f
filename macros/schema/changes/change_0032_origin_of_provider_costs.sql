{# Costs that providers report and invoice say where they come from, in which zone their days are, and on which invoice. #}
{% macro change_0032_origin_of_provider_costs() %}
alter table if exists core.provider_usage
    add column if not exists zone text not null default 'UTC',
    add column if not exists invoice_id text,
    add column if not exists file text,
    add column if not exists line bigint,
    add column if not exists replaced_at timestamptz;
do $$
begin
    if to_regclass('core.provider_usage') is not null then
        update core.provider_usage set invoice_id = dimensions ->> 'invoice' where dimensions ? 'invoice';
    end if;
end $$
{% endmacro %}
