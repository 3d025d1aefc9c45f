"""The SQL that reads staged records: from text in ingest_lines to typed rows in ingest_rows, and on into the table."""
# ruff: noqa: S608 - statements are built of this module's own words, names of targets and quoted values

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from orchestration.lib.owners.resolution import GIVEN, OWNERS, UNRESOLVED
from orchestration.lib.usage.costing import costed
from orchestration.lib.usage.record import REQUIRED, TARGETS, Target, kept_text

_OLD = "'time is older than the raw retention'"
_FUTURE = "'time is more than a day in the future'"
_KEPT = "kept in metadata.source_values"


@dataclass(frozen=True)
class Reading:
    """The statements for one source.

    `given` are the targets of a record in its order, `targets` these and those of constants in the order of TARGETS;
    `values` says for a target what the source's values mean. Rows before `floor` or after `ceiling` are refused;
    `currency` is that of rows that name none. With `prefers_prices` our prices count also where the source says a cost.
    `spelled_before` is when rows without a request_id ceased to be called by how their values are spelled; None in a
    database that has no such rows.
    """

    given: Sequence[str]
    targets: Sequence[str]
    values: Mapping[str, Mapping[str, str]]
    floor: datetime
    ceiling: datetime
    currency: str
    spelled_before: datetime | None = None
    prefers_prices: bool = False

    def plain(self) -> str:
        """Fills ingest_rows from the plain lines; fails if one can't be cast after all."""
        casts = ", ".join(f"{TARGETS[name].cast} as {name}" for name in self.targets)
        return f"""
        insert into ingest_rows (line, reasons, digest, spelled, {listed(self.targets)})
        select
            line,
            case when {self._old()} then array[{_OLD}] when {self._future()} then array[{_FUTURE}] end,
            case when {self._has_no_name()} then {self._digest()} end,
            {self._spelled()},
            {listed(self.targets)}
        from (
            select line, {casts}, provider as provider_said
            from {self._lines()} as l
            where {self._is_plain()}
            offset 0
        ) as typed
        """

    def closely(self) -> str:
        """Fills ingest_rows from the lines that aren't there yet, with every reason against them.

        `offset 0` keeps the planner from pulling a level up and evaluating its expressions once for each use.
        """
        targets = [TARGETS[name] for name in self.targets]
        flaws = ", ".join(f"{name}_flaw" for name in self.targets)
        refusing = [f"{t.name}_flaw" for t in targets if t.essential] + self._joint()
        optional = [t.name for t in targets if not t.essential]
        notes = [f"{name}_flaw || ': {_KEPT}'" for name in optional] + [f"{t.name}_remark" for t in targets]
        remarks = [f"case when {t.name}_flaw is null then {t.remark} end as {t.name}_remark" for t in targets]
        kept = [f"'{name}', case when {name}_flaw is not null then {kept_text(name, name)} end" for name in optional]
        return f"""
        insert into ingest_rows (line, reasons, notes, kept, digest, spelled, {listed(self.targets)})
        select
            line,
            reasons,
            case when reasons is null then notes end,
            kept,
            case when reasons is null and {self._has_no_name()} then {self._digest("kept")} end,
            case when reasons is null then {self._spelled()} end,
            {listed(self.targets)}
        from (
            select
                line,
                kept,
                provider_said,
                nullif(
                    {_REFUSALS}
                    || case when raw is null then array_remove(array[{listed(refusing)}], null) else '{{}}' end,
                    '{{}}'
                ) as reasons,
                nullif(array_remove(array[{listed([*notes, "null::text"])}], null), '{{}}') as notes,
                {listed(self.targets)}
            from (
                select
                    line, wrong, raw, {flaws}, provider as provider_said,
                    nullif(jsonb_strip_nulls(jsonb_build_object({listed(kept)})), '{{}}') as kept,
                    {listed(remarks)},
                    {listed(f"case when {t.name}_flaw is null then {t.value} end as {t.name}" for t in targets)}
                from (
                    select
                        line, wrong, raw, {listed(self.targets)},
                        {listed(f"{self._flaw(t)} as {t.name}_flaw" for t in targets)}
                    from {self._lines()} as l
                    where not exists (select from ingest_rows as r where r.line = l.line)
                    offset 0
                ) as judged
                offset 0
            ) as typed
            offset 0
        ) as checked
        """

    def source(self) -> str:
        """The source of a row r of ingest_rows."""
        default = TARGETS["source"].default or "null"
        return f"coalesce(r.source, {default})" if "source" in self.targets else default

    def insertion(self, lines: str, into: str, *, skips_duplicates: bool, has_owners: bool) -> str:
        """Puts the rows that `lines` selects into the table, `has_owners` with theirs, and says what is in it now.

        A row that is there already is left out, and its line noted in ingest_known unless no row is new; without
        `skips_duplicates` it violates a constraint.
        """
        values = self._values(has_owners=has_owners)
        lacks = f"metadata ? '{UNRESOLVED}'" if has_owners else "false"
        owners = "left join ingest_owners as o using (line)" if has_owners else ""
        # of records of one request the first is stored
        order = "order by r.line" if skips_duplicates else ""
        conflict = "on conflict (request_id, time) do nothing" if skips_duplicates else ""
        known = _known(lines) if skips_duplicates and "request_id" in self.targets else ""
        return f"""
        with {self._named(lines)},
        inserted as (
            insert into {into} ({listed(values)})
            select {listed(values.values())}
            from ingest_rows as r
            left join named as n using (line)
            left join ingest_costs as cost using (line)
            {owners}
            where r.reasons is null and r.{lines}{self._is_new()}
            {order}
            {conflict}
            returning request_id, time, cost_amount, total_tokens, {lacks} as lacks_owner
        ){known}
        select
            count(*), coalesce(sum(cost_amount), 0), coalesce(sum(total_tokens), 0), min(time), max(time),
            count(*) filter (where lacks_owner)
        from inserted
        """

    def _values(self, *, has_owners: bool) -> dict[str, str]:
        """What each column of the table gets of a row r of ingest_rows, its name n, its cost, and its owners o."""
        values = {name: f"r.{name}" for name in self.targets}
        for name, target in TARGETS.items():
            if target.default is not None and name in values:
                values[name] = f"coalesce(r.{name}, {target.default})"
        values["request_id"] = f"coalesce({values.get('request_id', 'null')}, {_name('r.digest', 'n.ordinal')})"
        values["currency"] = f"coalesce({values.get('currency', 'null')}, {quoted(self.currency)})"
        priced = f"case when {values.get('cost_amount', 'null')} is null then 'unpriced' else 'provider' end"
        values["cost_source"] = f"coalesce({values.get('cost_source', 'null')}, {priced})"
        values |= costed(values, prefers_prices=self.prefers_prices)
        values["source"] = self.source()
        metadata = values.get("metadata", "null::jsonb")
        own = f"{metadata} -> 'source_values'"
        earlier = f"case jsonb_typeof({own}) when 'object' then {own} end"
        values["metadata"] = f"""case
            when r.kept is null then {metadata}
            else coalesce({metadata}, '{{}}')
                || jsonb_build_object('source_values', coalesce({earlier}, '{{}}') || r.kept)
        end"""
        if has_owners:
            values |= {name: f"coalesce({values.get(name, 'null')}, o.{name})" for name in OWNERS}
            unmarked = f"{values['metadata']} - array['{UNRESOLVED}', '{GIVEN}']"
            values["metadata"] = (
                f"case when o.line is null then {values['metadata']} else {unmarked} || coalesce(o.marks, '{{}}') end"
            )
        return values

    def _named(self, lines: str) -> str:
        """The parts of a query that lead to `named`: which of equal rows without a request_id each of them is."""
        seen = "on conflict (time, digest) do update set before = s.total, total = s.total + excluded.total"
        spelled = spelled_name = join = ""
        if self.spelled_before:
            # both kinds of digests in one table: of the spelling the hash of the digest
            spelled = f"""
        spelled as (
            insert into ingest_seen as s (time, digest, before, total)
            select time, sha256(spelled), 0, count(*) from unnamed group by 1, 2
            {seen}
            returning s.time, s.digest, s.before
        ),"""
            ordinal = "e.before + row_number() over (partition by u.time, u.spelled order by u.line)"
            spelled_name = f", {_name('u.spelled', ordinal)} as spelled_name"
            join = "inner join spelled as e on e.time = u.time and e.digest = sha256(u.spelled)"
        return f"""unnamed as (
            select line, time, digest, spelled
            from ingest_rows
            where digest is not null and reasons is null and {lines}
        ),
        counted as (
            insert into ingest_seen as s (time, digest, before, total)
            select time, digest, 0, count(*) from unnamed group by time, digest
            {seen}
            returning s.time, s.digest, s.before
        ),{spelled}
        named as (
            select
                u.line,
                c.before + row_number() over (partition by u.time, u.digest order by u.line) as ordinal
                {spelled_name}
            from unnamed as u
            inner join counted as c using (time, digest)
            {join}
        )"""

    def _is_new(self) -> str:
        """Condition for a row that no earlier release has stored by how it is spelled."""
        if not self.spelled_before:
            return ""
        # a subquery for each row that isn't pulled up: a join would read the whole table
        return f"""
            and (
                select true from core.llm_metrics as m
                where m.request_id = n.spelled_name and m.time = r.time
                    and m.ingested_at < {quoted(self.spelled_before)}
                limit 1
            ) is null"""

    def _lines(self) -> str:
        """The staged lines, their values replaced by what they mean."""
        if not self.values:
            return "ingest_lines"
        texts = [
            f"{meant(name, self.values[name])} as {name}" if name in self.values else name for name in self.targets
        ]
        return f"(select line, wrong, raw, {listed(texts)} from ingest_lines offset 0)"

    def _is_plain(self) -> str:
        """Condition for a line whose values can be cast as they are; null values are fine but where required."""
        tests = [self._is_plain_value(TARGETS[name]) for name in self.targets]
        tests += [f"{name} is not null" for name in REQUIRED]
        if "cost_source" in self.targets:
            cost = "cost_amount" if "cost_amount" in self.targets else "null"
            tests.append(f"(cost_source = 'unpriced') = ({cost} is null)")
        return f"(wrong is null and ({' and '.join(tests)}) is not false)"

    def _is_plain_value(self, target: Target) -> str:
        if target.together is None:
            return target.plain
        looks_plain, expression = target.together
        every = f"string_agg({target.name}, e'\\n') filter (where {looks_plain}) || e'\\n'"
        return f"({looks_plain} and (select {every} ~ '^(?:{expression}\\n)*$' from {self._lines()}) or {target.plain})"

    def _flaw(self, target: Target) -> str:
        """What is wrong with a value: what the reader of the file says of it, else what its text tells."""
        if target.name not in self.given:
            return target.flaw
        told = f"substring(wrong from '(?n)^~{self.given.index(target.name)} (.*)$')"
        return f"coalesce(case when wrong is not null then '{target.name} ' || {told} end, {target.flaw})"

    def _joint(self) -> list[str]:
        joint = [
            f"case when {self._old()} then {_OLD} end",
            f"case when {self._future()} then {_FUTURE} end",
        ]
        if "cost_source" in self.targets:
            has_cost = "cost_amount is not null" if "cost_amount" in self.targets else "false"
            known = "cost_amount_flaw is null" if "cost_amount" in self.targets else "true"
            joint.append(
                f"case when (cost_source = 'unpriced') = ({has_cost}) and {known} "
                "then 'cost_source is unpriced where there is a cost_amount, or not unpriced where there is none' end"
            )
        return joint

    def _old(self) -> str:
        return f"time < {quoted(self.floor)}"

    def _future(self) -> str:
        return f"time > {quoted(self.ceiling)}"

    def _has_no_name(self) -> str:
        return "request_id is null" if "request_id" in self.targets else "true"

    def _digest(self, kept: str | None = None) -> str:
        """SHA-256 of what a row says, as a JSON object in the order of TARGETS.

        What it doesn't say is left out, so a target that a later release adds changes no digest, and so is what an
        empty value would mean: saying it changes nothing.
        """
        return self._hash(self._json, [f"'\"source_values\":' || {kept}::text"] if kept else [])

    def _spelled(self) -> str:
        """The digest by which earlier releases knew a row: with every value that it says, defaults too."""
        if not self.spelled_before:
            return "null::bytea"
        return f"case when {self._has_no_name()} then {self._hash(_json_as_spelled, [])} end"

    def _hash(self, json: Callable[[str], str], more: Sequence[str]) -> str:
        members = [f"'\"{name}\":' || ({json(name)})::text" for name in self.targets if name != "request_id"]
        return f"sha256(convert_to('{{' || concat_ws(',', {listed([*members, *more])}) || '}}', 'UTF8'))"

    def _json(self, name: str) -> str:
        if name == "currency":
            return f"'\"' || nullif(currency, {quoted(self.currency)}) || '\"'"
        if name == "cost_source":
            # without a cost it is unpriced, or the row is refused
            return "'\"' || nullif(nullif(cost_source, 'provider'), 'unpriced') || '\"'"
        return TARGETS[name].json


# what the reader of the file says against a whole record; what begins with ~ is about one of its values
_REFUSALS = """case
                        when wrong is null then '{}'
                        else array(select w from unnest(string_to_array(wrong, e'\\n')) as w where w not like '~%')
                    end"""


def _known(lines: str) -> str:
    """The part of a query that notes the lines whose request is stored already, unless none is new."""
    return f""",
        repeated as (
            select request_id, time
            from ingest_rows
            where reasons is null and {lines}
            group by request_id, time
            having count(*) > 1
        ),
        known as (
            insert into ingest_known (line)
            select r.line
            from ingest_rows as r
            left join inserted as i on i.request_id = r.request_id and i.time = r.time
            left join repeated as t on t.request_id = r.request_id and t.time = r.time
            where r.reasons is null and r.request_id is not null and r.{lines}
                and (i.request_id is null or t.request_id is not null)
                and (select count(*) from inserted) > 0
        )"""


def _json_as_spelled(name: str) -> str:
    if name == "provider":
        return "to_json(provider_said)"
    if name == "source":
        return "to_json(source)"
    if name in ("status", "operation", "currency", "cost_source"):
        return f"'\"' || {name} || '\"'"
    return name if name.endswith("_tokens") or name in ("tags", "metadata") else TARGETS[name].json


def _name(digest: str, ordinal: str) -> str:
    return f"encode(sha256({digest} || convert_to(({ordinal})::text, 'UTF8')), 'hex')"


def meant(name: str, values: Mapping[str, str]) -> str:
    """What a text of the source means by the user's `values`; an empty text stands for none, on both sides."""
    whens = " ".join(f"when {quoted(said)} then {quoted(means)}" for said, means in values.items())
    return f"nullif(case coalesce({name}, '') {whens} else {name} end, '')"


def quoted(value: object) -> str:
    """The value as a literal of SQL."""
    return sql.Literal(value).as_string()


def listed(names: Iterable[str]) -> str:
    """The names, or what else a list in SQL is made of, with commas between them."""
    return ", ".join(names)
