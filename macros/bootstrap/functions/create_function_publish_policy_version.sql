{#
    Fires before the row is written (the versions before must end first: one active version per slug) and after it (its
    assignments need the row). A version has one period in force, so what applied on a day stays answerable; is_active is
    the version published last, which may begin later: the one before is in force until then.
#}
{% macro create_function_publish_policy_version() %}
create or replace function internal.publish_policy_version() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
declare
    becomes_active boolean := new.is_active and (tg_op = 'INSERT' or not old.is_active);
    ends boolean := tg_op = 'UPDATE' and old.is_active and not new.is_active;
    is_handed_over boolean := current_setting('governance.policy_handed_over', true) is not distinct from new.slug;
    active_version integer;
    other record;
begin
    if tg_when = 'BEFORE' then
        if becomes_active then
            -- about to be refused, or skipped by `on conflict do nothing`: then nothing may end
            if tg_op = 'INSERT' and exists (
                select from core.policies where id = new.id or (slug = new.slug and version = new.version)
            ) then
                return new;
            end if;
            select version into active_version from core.policies where slug = new.slug and is_active and id <> new.id for update;
            if new.effective_to <= greatest(now(), new.effective_from) then
                raise exception 'policy "%" version % has ended and cannot come back; publish a new version', new.slug, new.version
                    using errcode = 'check_violation';
            end if;
            if active_version >= new.version then
                raise exception 'policy "%" version % cannot replace version %; publish a higher version', new.slug, new.version, active_version
                    using errcode = 'check_violation';
            end if;
            select version, policy_type into other
            from core.policies
            where slug = new.slug and id <> new.id and policy_type <> new.policy_type and (is_active or published_at is not null)
            order by version desc
            limit 1;
            if found then
                raise exception 'policy "%" is a % since version %, so version % cannot be a %; give it a slug of its own',
                    new.slug, other.policy_type, other.version, new.version, new.policy_type
                    using errcode = 'check_violation';
            end if;
            -- what applied until now is not changed
            new.effective_from := greatest(
                new.effective_from,
                case when tg_op = 'UPDATE' or active_version is not null then now() end,
                (
                    select max(least(effective_to, now())) from core.policies
                    where slug = new.slug and id <> new.id and published_at is not null
                )
            );
            -- given by whoever loads a history
            new.published_at := least(case when tg_op = 'INSERT' then new.published_at end, now());
            -- also of one that is in force until another begins which this one comes before
            perform set_config('governance.policy_handed_over', new.slug, true);
            update core.policies
            set is_active = false, effective_to = least(effective_to, greatest(effective_from, new.effective_from))
            where slug = new.slug and id <> new.id
                and (is_active or published_at is not null and effective_to > new.effective_from);
            perform set_config('governance.policy_handed_over', '', true);
        elsif ends and not is_handed_over then
            new.effective_to := greatest(new.effective_from, least(new.effective_to, now()));
        end if;
        return new;
    end if;

    -- a first version has nothing to take over; the default ones are written before policy_assignments exists
    if becomes_active and new.version > 1 then
        insert into core.policy_assignments (policy_id, team_id, user_id, effective_from, expires_at, assigned_by)
        select new.id, a.team_id, a.user_id, greatest(a.effective_from, new.effective_from), a.expires_at, a.assigned_by
        from core.policies as p
        join core.policy_assignments as a on a.policy_id = p.id
        where p.slug = new.slug
            and p.version < new.version
            and p.published_at is not null
            and (a.expires_at is null or a.expires_at > greatest(a.effective_from, new.effective_from))
            and not exists (
                select from core.policy_assignments as own
                where own.policy_id = new.id
                    and (own.team_id, own.user_id) is not distinct from (a.team_id, a.user_id)
                    and tstzrange(own.effective_from, own.expires_at)
                        && tstzrange(greatest(a.effective_from, new.effective_from), a.expires_at)
            );
        update core.policy_assignments as a
        set expires_at = greatest(a.effective_from, new.effective_from)
        from core.policies as p
        where p.slug = new.slug
            and p.version < new.version
            and p.published_at is not null
            and a.policy_id = p.id
            and (a.expires_at is null or a.expires_at > greatest(a.effective_from, new.effective_from));
    elsif ends and not is_handed_over then
        update core.policy_assignments
        set expires_at = greatest(effective_from, new.effective_to)
        where policy_id = new.id and (expires_at is null or expires_at > greatest(effective_from, new.effective_to));
    end if;
    return null;
end $f$;
comment on function internal.publish_policy_version() is
    'Trigger of policies: publishing a version ends those before it where it begins, and hands their open assignments over, in the same transaction.';
revoke execute on function internal.publish_policy_version() from public;
{% endmacro %}
