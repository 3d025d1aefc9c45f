{#
    Seals of the audit trail. A checksum sees an entry that was changed; a seal also sees one that is missing or was added
    later. It covers all entries of the transactions `low` to before `high` of an epoch: `high` is at most the oldest
    transaction that still ran, so no more can come. Leaves, nodes and the hash of a seal are those of RFC 6962, so the
    seals are the records of a log of which others can keep checkpoints.
#}
{% macro create_internal_audit_seals() %}
create table if not exists internal.audit_seals (
    sequence bigint constraint audit_seals_pkey primary key constraint audit_seals_sequence_check check (sequence >= 1),
    kind text not null constraint audit_seals_kind_check check (kind in ('segment', 'recovery', 'tombstone')),
    epoch bigint not null,
    low xid8 not null,
    high xid8 not null,
    entry_count bigint not null,
    total_count bigint not null,
    root bytea not null,
    previous_hash bytea not null,
    sealed_at timestamptz not null,
    note text,
    seal_hash bytea not null,
    entry_ids uuid[] not null,
    leaves bytea[] not null,
    constraint audit_seals_entry_count_check check (entry_count = cardinality(entry_ids) and entry_count = cardinality(leaves))
);
comment on table internal.audit_seals is 'One row per seal of the audit trail: the entries of a span of transactions, in the order of xid and id; append-only.';
comment on column internal.audit_seals.kind is 'segment; recovery ends an epoch, for transaction ids start anew after a restore; tombstone says which entries were deleted.';
comment on column internal.audit_seals.low is 'First transaction of the span: where the seal before ended.';
comment on column internal.audit_seals.high is 'First transaction after the span.';
comment on column internal.audit_seals.root is 'Root of the Merkle tree over the leaves.';
comment on column internal.audit_seals.previous_hash is 'seal_hash of the seal before; 32 zero bytes in the first.';
comment on column internal.audit_seals.note is 'Of a recovery: why, and the last checkpoint that was verified. Of a tombstone: JSON of the last seal whose entries are gone, how many, and why.';
comment on column internal.audit_seals.seal_hash is 'Hash of internal.audit_seal_text as a leaf.';
comment on column internal.audit_seals.leaves is 'Hash of each entry, so that one that is missing or changed can be named.';

create or replace trigger audit_seals_append_only before update or delete or truncate on internal.audit_seals
    for each statement execute function core.prevent_audit_log_modification();
comment on trigger audit_seals_append_only on internal.audit_seals is 'Refuses UPDATE, DELETE and TRUNCATE.';
alter table internal.audit_seals enable always trigger audit_seals_append_only;

create or replace function internal.audit_leaf(content text) returns bytea
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return sha256(decode('00', 'hex') || convert_to(content, 'UTF8'));
comment on function internal.audit_leaf(text) is 'Hash of a text as a leaf of a Merkle tree (RFC 6962).';

create or replace function internal.merkle_root(leaves bytea[]) returns bytea
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $f$
declare
    hashes bytea[] := leaves;
begin
    if cardinality(hashes) = 0 then
        return sha256('');
    end if;
    while cardinality(hashes) > 1 loop
        select array_agg(
            case when pairs.right_hash is null then pairs.left_hash else sha256(decode('01', 'hex') || pairs.left_hash || pairs.right_hash) end
            order by pairs.place
        )
        into hashes
        from (
            select hash as left_hash, lead(hash) over (order by place) as right_hash, place
            from unnest(hashes) with ordinality as each (hash, place)
        ) as pairs
        where pairs.place % 2 = 1;
    end loop;
    return hashes[1];
end $f$;
comment on function internal.merkle_root(bytea[]) is 'Root of the Merkle tree over these leaves (RFC 6962).';

create or replace function internal.audit_seal_text(
    sequence bigint, kind text, epoch bigint, low xid8, high xid8, entry_count bigint, total_count bigint, root bytea,
    previous_hash bytea, sealed_at timestamptz, note text
) returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp
return jsonb_build_array(
    'llm-governance-audit-seal', 1, sequence, kind, epoch, low, high, entry_count, total_count, encode(root, 'hex'),
    encode(previous_hash, 'hex'), (extract(epoch from sealed_at) * 1000000)::bigint, note
)::text;
comment on function internal.audit_seal_text(bigint, text, bigint, xid8, xid8, bigint, bigint, bytea, bytea, timestamptz, text) is
    'The canonical form of a seal, version 1: what its hash is made of.';

create or replace function internal.add_audit_seal(
    kind text, epoch bigint, low xid8, high xid8, entry_ids uuid[], leaves bytea[], note text
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    seal internal.audit_seals;
    text_of_seal text;
begin
    if current_setting('synchronous_commit') = 'off' then
        -- who signs a seal must find it again after a crash
        perform set_config('synchronous_commit', 'local', true);
    end if;
    select sequence, total_count, seal_hash into seal.sequence, seal.total_count, seal.previous_hash
    from internal.audit_seals
    order by sequence desc
    limit 1;
    seal.sequence := coalesce(seal.sequence, 0) + 1;
    seal.entry_count := cardinality(entry_ids);
    seal.total_count := coalesce(seal.total_count, 0) + seal.entry_count;
    seal.previous_hash := coalesce(seal.previous_hash, decode(repeat('00', 32), 'hex'));
    seal.root := internal.merkle_root(leaves);
    seal.sealed_at := clock_timestamp();
    text_of_seal := internal.audit_seal_text(
        seal.sequence, kind, epoch, low, high, seal.entry_count, seal.total_count, seal.root, seal.previous_hash,
        seal.sealed_at, note
    );
    insert into internal.audit_seals
    values (
        seal.sequence, kind, epoch, low, high, seal.entry_count, seal.total_count, seal.root, seal.previous_hash,
        seal.sealed_at, note, internal.audit_leaf(text_of_seal), entry_ids, leaves
    );
end $f$;
comment on function internal.add_audit_seal(text, bigint, xid8, xid8, uuid[], bytea[], text) is 'Adds the next seal; called by the one that holds the lock of sealing.';

create or replace function internal.seal_audit_span(kind text, of_epoch bigint, from_xid xid8, before_xid xid8, note text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    ids uuid[];
    hashes bytea[];
begin
    select
        coalesce(array_agg(entries.id order by entries.xid, entries.id), '{}'),
        coalesce(array_agg(entries.leaf order by entries.xid, entries.id), '{}')
    into ids, hashes
    from (
        -- a row of a table that inherits from it is no entry; nor is one of an endless time, which no trigger lets in
        select id, xid, internal.audit_leaf({{ audit_canonical() | indent(8) }}) as leaf
        from only core.audit_logs
        where epoch = of_epoch and xid >= from_xid and xid < before_xid and isfinite(recorded_at) and isfinite(occurred_at)
        union all
        -- written since the last seal, in another cluster whose transactions have lower numbers
        select id, xid, internal.audit_leaf({{ audit_canonical() | indent(8) }})
        from only core.audit_logs
        where kind = 'recovery' and epoch = of_epoch and xid < from_xid
            and isfinite(recorded_at) and isfinite(occurred_at)
            and recorded_at > (select seals.sealed_at from internal.audit_seals as seals order by seals.sequence desc limit 1)
    ) as entries;
    if cardinality(ids) > 0 or kind = 'recovery' then
        perform internal.add_audit_seal(kind, of_epoch, from_xid, before_xid, ids, hashes, note);
    end if;
    return cardinality(ids);
end $f$;
comment on function internal.seal_audit_span(text, bigint, xid8, xid8, text) is 'Seals the entries of a span of transactions; returns how many.';

create or replace function internal.seal_audit_trail(most bigint default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    current_epoch bigint;
    sealed_epoch bigint;
    sealed_kind text;
    low xid8;
    high xid8;
    horizon xid8;
    sealed bigint := 0;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the audit trail is sealed at isolation level read committed only: what commits meanwhile must be seen';
    end if;
    perform pg_advisory_xact_lock({{ lock_key('seal') }});
    -- read before the entries: every transaction below it has ended
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    select epoch into current_epoch from internal.audit_epoch;
    select seals.epoch, seals.kind, seals.high into sealed_epoch, sealed_kind, low
    from internal.audit_seals as seals
    order by seals.sequence desc
    limit 1;
    if sealed_epoch is null or (sealed_kind = 'recovery' and sealed_epoch < current_epoch) then
        low := '0';
    elsif sealed_epoch <> current_epoch then
        raise exception 'the audit trail is in epoch % and was last sealed in epoch %, which no recovery ended: somebody wrote to internal.audit_epoch', current_epoch, sealed_epoch;
    end if;
    if low > horizon then
        raise exception 'the last seal covers transactions up to %, and this server is at %: the database was restored or moved without its command; run governance audit recover', low, horizon;
    end if;
    loop
        select entries.xid into high
        from only core.audit_logs as entries
        where entries.epoch = current_epoch and entries.xid >= low and entries.xid < horizon
        order by entries.xid
        offset most
        limit 1;
        if found then
            -- the entries of a transaction stay together: up to the one that was cut, or past it if it is the first
            if not exists (
                select from only core.audit_logs as entries
                where entries.epoch = current_epoch and entries.xid >= low and entries.xid < high
            ) then
                select entries.xid into high
                from only core.audit_logs as entries
                where entries.epoch = current_epoch and entries.xid > high and entries.xid < horizon
                order by entries.xid
                limit 1;
            end if;
        end if;
        high := coalesce(high, horizon);
        sealed := sealed + internal.seal_audit_span('segment', current_epoch, low, high, null);
        exit when high >= horizon;
        low := high;
    end loop;
    return sealed;
end $f$;
comment on function internal.seal_audit_trail(bigint) is
    'Seals every entry whose transaction has ended, at most so many a seal where transactions allow it; returns how many.';
revoke execute on function internal.seal_audit_trail(bigint) from public;

create or replace function internal.begin_audit_epoch(reason text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    ended bigint;
    low xid8;
begin
    perform pg_advisory_xact_lock({{ lock_key('seal') }});
    -- whoever writes has ended, and nobody begins
    lock table core.audit_logs in share row exclusive mode;
    select epoch into ended from internal.audit_epoch;
    select seals.high into low from internal.audit_seals as seals where seals.epoch = ended order by seals.sequence desc limit 1;
    perform internal.seal_audit_span('recovery', ended, coalesce(low, '0'), '18446744073709551615', reason);
    update internal.audit_epoch set epoch = ended + 1;
    return ended + 1;
end $f$;
comment on function internal.begin_audit_epoch(text) is
    'Seals what the epoch still has and begins the next one: after a restore, for transaction ids start anew. Returns the new epoch.';
revoke execute on function internal.begin_audit_epoch(text) from public;

create or replace function internal.prune_audit_trail(recorded_before timestamptz, reason text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    first_kept record;
    pruned bigint;
    last_pruned bigint;
    last_seal internal.audit_seals;
    place internal.audit_seals;
    gone bigint;
begin
    perform pg_advisory_xact_lock({{ lock_key('seal') }});
    -- only the owner may, and nobody else writes meanwhile
    alter table core.audit_logs disable trigger audit_logs_append_only, disable trigger audit_logs_append_only_row;
    select coalesce(max((seals.note::jsonb ->> 'through')::bigint), 0) into pruned
    from internal.audit_seals as seals
    where seals.kind = 'tombstone';
    -- whole seals, from the first on: up to the one with an entry that is to stay
    select entries.epoch, entries.xid into first_kept
    from core.audit_logs as entries
    where entries.recorded_at >= recorded_before
    order by entries.epoch, entries.xid
    limit 1;
    select seals.* into last_seal
    from internal.audit_seals as seals
    where seals.kind <> 'tombstone' and seals.sequence > pruned
        and (not found or (seals.epoch, seals.high) <= (first_kept.epoch, first_kept.xid))
    order by seals.sequence desc
    limit 1;
    last_pruned := last_seal.sequence;
    if last_pruned is not null then
        delete from only core.audit_logs as entries where (entries.epoch, entries.xid) < (last_seal.epoch, last_seal.high);
        get diagnostics gone = row_count;
        if gone <> (
            select sum(seals.entry_count) from internal.audit_seals as seals where seals.sequence > pruned and seals.sequence <= last_pruned
        ) then
            raise exception 'the trail has not the entries that its seals cover: run governance audit verify';
        end if;
        select seals.* into place from internal.audit_seals as seals order by seals.sequence desc limit 1;
        if place.kind = 'recovery' then
            place.epoch := place.epoch + 1;
            place.high := '0';
        end if;
        perform internal.add_audit_seal(
            'tombstone', place.epoch, place.high, place.high, '{}', '{}',
            jsonb_build_object('through', last_pruned, 'entries', gone, 'recorded_before', recorded_before, 'reason', reason)::text
        );
    end if;
    alter table core.audit_logs enable always trigger audit_logs_append_only, enable always trigger audit_logs_append_only_row;
    return coalesce(gone, 0);
end $f$;
comment on function internal.prune_audit_trail(timestamptz, text) is
    'Deletes the entries of the oldest seals, all recorded before a time, and adds a tombstone; the seals stay. Returns how many. `governance audit prune` verifies before and signs after.';
revoke execute on function internal.prune_audit_trail(timestamptz, text) from public;
{% endmacro %}
