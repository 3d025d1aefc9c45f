{# A rule of verification has no violation but those that verification_exceptions accepts. #}
{% test is_empty(model) %}
select violations.subject, violations.message, violations.fix
from {{ model }} as violations
where not exists (
    select from {{ ref('exceptions_in_force') }} as accepted
    where accepted.rule = '{{ model.identifier }}' and violations.subject like accepted.pattern
)
{% endtest %}
