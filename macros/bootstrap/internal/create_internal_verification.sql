{#
    The evidence of verification: which rules were asked when, and what they found. A finding is written when it is first
    seen, when what is said of it changes, and when it is gone, so a run that finds nothing new adds one row.
#}
{% macro create_internal_verification() %}
create table if not exists internal.verification_runs (
    id bigint generated always as identity constraint verification_runs_pkey primary key,
    started_at timestamptz not null,
    ended_at timestamptz not null default clock_timestamp(),
    program text not null,
    database_user text not null default session_user,
    answered text[] not null,
    not_run jsonb not null,
    constraint verification_runs_ended_at_check check (ended_at >= started_at)
);
comment on table internal.verification_runs is 'One row per run of verification that was recorded; append-only.';
comment on column internal.verification_runs.program is 'What ran it, such as governance verify.';
comment on column internal.verification_runs.answered is 'The rules that gave an answer.';
comment on column internal.verification_runs.not_run is 'The reason of each rule that gave none.';

create table if not exists internal.verification_findings (
    id bigint generated always as identity constraint verification_findings_pkey primary key,
    run bigint not null constraint verification_findings_run_fkey references internal.verification_runs (id),
    rule text not null,
    subject text not null,
    severity text not null constraint verification_findings_severity_check check (severity in ('{{ severities() | join("', '") }}')),
    message text not null,
    fix text not null,
    accepted_by text,
    is_resolved boolean not null
);
create index if not exists verification_findings_rule_idx on internal.verification_findings (rule, subject, id);
create index if not exists verification_findings_run_idx on internal.verification_findings (run);
comment on table internal.verification_findings is 'One row per change of a finding: it appeared, something else is said of it, it is gone; append-only.';
comment on column internal.verification_findings.run is 'The run that noticed the change.';
comment on column internal.verification_findings.accepted_by is 'The reason of the exception that accepts it.';
comment on column internal.verification_findings.is_resolved is 'Whether the run no longer found it; the row then repeats what was said of it last.';
comment on index internal.verification_findings_rule_idx is 'What was last said of a finding, and its history.';
comment on index internal.verification_findings_run_idx is 'What a run changed; runs past their retention.';

create or replace function internal.oldest_evidence_kept() returns timestamptz
language sql stable parallel safe set search_path = pg_catalog, pg_temp
return now() - (select value from internal.settings where name = 'verification_retention')::interval;
comment on function internal.oldest_evidence_kept() is 'Start of the retention of verification: what ended before may be dropped.';

create or replace function internal.refuse_change_of_evidence() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
    ended timestamptz;
begin
    -- the transaction that erases a person puts a pseudonym in the place of who it was
    if tg_op = 'UPDATE' and exists (
        select from core.users
        where id::text = current_setting('governance.erasing', true) and erased_at = now()
    ) then
        return null;
    end if;
    if tg_op = 'DELETE' then
        if tg_table_name = 'verification_runs' then
            ended := old.ended_at;
        else
            select r.ended_at into ended from internal.verification_runs as r where r.id = old.run;
        end if;
        if ended < internal.oldest_evidence_kept() then
            return old;
        end if;
    end if;
    raise exception '% is append-only: % is refused; `governance retain` drops what is past its retention', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end $f$;
comment on function internal.refuse_change_of_evidence() is 'Trigger of the evidence of verification: refuses UPDATE but by an erasure, TRUNCATE, and DELETE within the retention.';
{% for name in ['verification_runs', 'verification_findings'] -%}
create or replace trigger {{ name }}_append_only before update or truncate on internal.{{ name }}
    for each statement execute function internal.refuse_change_of_evidence();
comment on trigger {{ name }}_append_only on internal.{{ name }} is 'Refuses UPDATE and TRUNCATE, whether they would meet a row or not.';
alter table internal.{{ name }} enable always trigger {{ name }}_append_only;

create or replace trigger {{ name }}_kept before delete on internal.{{ name }}
    for each row execute function internal.refuse_change_of_evidence();
comment on trigger {{ name }}_kept on internal.{{ name }} is 'Refuses to delete a row within its retention.';
alter table internal.{{ name }} enable always trigger {{ name }}_kept;

{% endfor -%}
create or replace function internal.drop_old_evidence() returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    findings bigint;
    runs bigint;
begin
    -- of what is still found, and of what was resolved since, the whole history stays
    delete from internal.verification_findings as f
    using internal.verification_findings as resolved
    inner join internal.verification_runs as r on r.id = resolved.run
    where resolved.is_resolved and r.ended_at < internal.oldest_evidence_kept()
        and f.rule = resolved.rule and f.subject = resolved.subject and f.id <= resolved.id;
    get diagnostics findings = row_count;
    delete from internal.verification_runs as r
    where r.ended_at < internal.oldest_evidence_kept()
        and not exists (select from internal.verification_findings as f where f.run = r.id)
        -- the last run that asked a rule tells when its findings were seen last
        and r.id not in (
            select max(last.id)
            from internal.verification_runs as last
            cross join unnest(last.answered) as answered (rule)
            group by answered.rule
        );
    get diagnostics runs = row_count;
    return findings + runs;
end $f$;
comment on function internal.drop_old_evidence() is 'Drops runs, and findings that are resolved, past the setting verification_retention; returns how many rows.';
{% endmacro %}

{# What a violation of a rule can be, the worst first; the same as SEVERITIES in orchestration/lib/evidence/result.py. #}
{% macro severities() %}{{ return(['error', 'warn', 'info']) }}{% endmacro %}
