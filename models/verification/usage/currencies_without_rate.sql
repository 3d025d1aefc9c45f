-- one row per currency of recent spend that no rate converts
{% set reporting_currency = var('reporting_currency') or var('default_currency') -%}
select
    format('currency %s', spend.currency) as subject,
    format(
        '%s %s of the last {{ var("usage_window") }} have no converted total:'
        || ' no rate to {{ reporting_currency }} is known.',
        sum(spend.cost_amount),
        spend.currency
    ) as message,
    format(
        'Enter one, with its day and origin: insert into core.exchange_rates'
        || ' (from_currency, to_currency, rate_day, rate, origin) values (%L, ''{{ reporting_currency }}'', …).',
        spend.currency
    ) as fix
from {{ ref('llm_spend_daily') }} as spend
where spend.bucket >= now() - interval '{{ var("usage_window") }}'
    and spend.currency <> '{{ reporting_currency }}'
    and not exists (
        select from {{ ref('exchange_rates') }} as rates
        where rates.from_currency = spend.currency and rates.to_currency = '{{ reporting_currency }}'
    )
group by spend.currency
having sum(spend.cost_amount) > 0
