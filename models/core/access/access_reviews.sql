-- one row per decision of a reviewer about a grant of a role or an API key
-- depends_on: {{ ref('audit_logs') }}, {{ ref('users') }}, {{ ref('user_roles') }}, {{ ref('api_keys') }}
{{ config(pre_hook="{{ ensure_object(this, create_core_access_reviews(this)) }}") }}
select null::uuid as user_role_id where false
