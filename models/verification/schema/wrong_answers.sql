-- one row per question that a function answers wrongly
select
    regexp_replace(answers.called, '\s+', ' ', 'g') as subject,
    format('It answers %s, right is %s.', coalesce(answers.answered, 'nothing'), answers.expected) as message,
    'See how it differs by `governance verify --deep`, and restore it from macros/bootstrap/functions.' as fix
from internal.function_answers() as answers
where answers.answered is distinct from answers.expected
