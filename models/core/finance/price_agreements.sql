-- one row per agreement on prices of one's own: a discount, or a price list
-- depends_on: {{ ref('audit_logs') }}, {{ ref('teams') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_price_agreements(this)) }}") }}
select null::text as name where false
