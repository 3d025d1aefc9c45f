{# The types of policies, as an array; constraint policies_policy_type_check has the same. #}
{% macro policy_types() -%}
array['cost_limit', 'rate_limit', 'content_filter', 'security', 'model_allowlist', 'data_residency']
{%- endmacro %}
