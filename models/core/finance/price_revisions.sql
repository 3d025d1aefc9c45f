-- one row per repricing of requests
{{ config(pre_hook="{{ ensure_object(this, create_core_price_revisions(this)) }}") }}
select null::text as reason where false
