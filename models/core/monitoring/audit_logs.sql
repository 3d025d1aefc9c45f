-- one row per recorded act; append-only
{{ config(pre_hook="{{ ensure_object(this, create_core_audit_logs(this)) }}") }}
select null::text as action where false
