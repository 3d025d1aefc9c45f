-- one row per request that a repricing changed, with its figures before and after
-- depends_on: {{ ref('price_revisions') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_price_revision_rows(this)) }}") }}
select null::text as request_id where false
