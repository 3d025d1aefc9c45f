-- one row per closed month, kind, team, provider, model and currency; append-only
-- depends_on: {{ ref('closed_periods') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_closed_totals(this)) }}") }}
select null::date as month where false
