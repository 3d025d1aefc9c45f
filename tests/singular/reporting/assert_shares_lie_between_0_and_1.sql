-- a share of all is never more than all, or something was counted twice
{{ config(meta={'dagster': {'ref': {'name': 'policy_compliance_view'}}}) }}
select
    policy_id,
    team_coverage,
    user_coverage,
    compliance_rate
from {{ ref('policy_compliance_view') }}
where not team_coverage between 0 and 1
    or not user_coverage between 0 and 1
    or not compliance_rate between 0 and 1
