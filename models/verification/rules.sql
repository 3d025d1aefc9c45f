-- one row per rule
select
    rule,
    family,
    severity,
    description,
    docs
from (values {{ rule_rows() }}) as rules (rule, family, severity, description, docs)
