{#
    What comparing the closed days of the rollups with what they are made of found. Reading every raw row takes too long
    for a rule, so Python compares some days at a time (orchestration/lib/verification/comparison.py), the longest not compared first.
#}
{% macro create_internal_rollup_comparisons() %}
create table if not exists internal.rollup_comparisons (
    rollup text not null,
    low timestamptz not null,
    high timestamptz not null constraint rollup_comparisons_high_check check (high > low),
    version integer not null,
    compared_at timestamptz not null default now(),
    differs boolean not null,
    equal_at timestamptz,
    fingerprint text,
    finding text constraint rollup_comparisons_finding_check check (finding in ('source', 'rollup', 'unknown')),
    constraint rollup_comparisons_pkey primary key (rollup, low),
    constraint rollup_comparisons_differs_check check (differs = (finding is not null)),
    constraint rollup_comparisons_equal_at_check check ((equal_at is null) = (fingerprint is null))
);
comment on table internal.rollup_comparisons is 'One row per rollup and closed day that was compared with the rows it is made of.';
comment on column internal.rollup_comparisons.low is 'Start of the day in the reporting zone.';
comment on column internal.rollup_comparisons.version is 'Version of the rollup that was compared; of another one a comparison says nothing.';
comment on column internal.rollup_comparisons.equal_at is 'When both were equal last.';
comment on column internal.rollup_comparisons.fingerprint is 'Count and hash of the rows at that time: which side changed since is told by it.';
comment on column internal.rollup_comparisons.finding is 'Which side changed since both were equal: source, rollup, or unknown.';
{% endmacro %}
