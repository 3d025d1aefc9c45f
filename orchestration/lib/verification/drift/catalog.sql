-- One row per object of the schemas :schemas — kind, name, what it is a part of, its properties in words.
-- The owner of most tables is called "the owner": a catalog doesn't depend on who built it.
with ours as materialized (
    select oid, nspname, nspowner, nspacl from pg_namespace where nspname = any(%(schemas)s)
),

most as materialized (
    select mode() within group (order by relowner) as owner
    from pg_class
    where relnamespace in (select oid from ours) and relkind in ('r', 'p', 'v')
),

role_names as materialized (
    select oid, case when oid = (select owner from most) then 'the owner' else quote_ident(rolname) end as name
    from pg_roles
),

members as materialized (
    select classid, objid from pg_depend where deptype = 'e'
),

relations as materialized (
    select
        c.oid, c.relkind, c.relname, c.relowner, c.relacl, c.reloptions, c.relpersistence, c.relrowsecurity,
        c.relforcerowsecurity, c.relispartition, c.relpartbound,
        n.nspname,
        format('%%I.%%I', n.nspname, c.relname) as name
    from pg_class as c
    inner join ours as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and (1259, c.oid) not in (select classid, objid from members)
),

functions as materialized (
    select p.*, n.nspname, format('%%I.%%I(%%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) as name
    from pg_proc as p
    inner join ours as n on n.oid = p.pronamespace
    where (1255, p.oid) not in (select classid, objid from members)
),

found (kind, name, part_of, properties) as (
    select 'schema', quote_ident(s.nspname), null, jsonb_build_object(
        'owner', r.name,
        'comment', obj_description(s.oid, 'pg_namespace')
    )
    from ours as s
    inner join role_names as r on r.oid = s.nspowner

    union all
    select
        case c.relkind
            when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence'
            else 'table'
        end,
        c.name,
        quote_ident(c.nspname),
        jsonb_build_object(
            'owner', r.name,
            'comment', obj_description(c.oid, 'pg_class'),
            'options', array_to_string(c.reloptions, ', '),
            'persistence', case c.relpersistence when 'p' then 'logged' when 'u' then 'unlogged' else 'temporary' end,
            'row security', case when c.relkind in ('r', 'p') then case
                when c.relrowsecurity and c.relforcerowsecurity then 'on, also for the owner'
                when c.relrowsecurity then 'on'
                when c.relforcerowsecurity then 'off, forced'
                else 'off'
            end end,
            'partition by', case c.relkind when 'p' then pg_get_partkeydef(c.oid) end,
            'partition of', case when c.relispartition then (
                select i.inhparent::regclass::text from pg_inherits as i where i.inhrelid = c.oid
            ) end,
            'bounds', pg_get_expr(c.relpartbound, c.oid),
            'inherits', case when not c.relispartition then (
                select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
                from pg_inherits as i
                where i.inhrelid = c.oid
            ) end,
            'definition', case
                when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid)
                when c.relkind = 'S' then (
                    select format(
                        '%%s start %%s increment %%s minimum %%s maximum %%s cache %%s%%s',
                        format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                        case when s.seqcycle then ' cycle' else '' end
                    )
                    from pg_sequence as s
                    where s.seqrelid = c.oid
                )
            end,
            'belongs to', case when c.relkind = 'S' then (
                select format('%%s.%%I', d.refobjid::regclass, a.attname)
                from pg_depend as d
                inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
            ) end
        )
    from relations as c
    inner join role_names as r on r.oid = c.relowner

    union all
    select 'column', format('%%s.%%I', c.name, a.attname), c.name, jsonb_build_object(
        'type', format_type(a.atttypid, a.atttypmod),
        'nullability', case when c.relkind in ('r', 'p', 'f') then case when a.attnotnull then 'not null' else 'null allowed' end end,
        'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
        'generation', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end,
        'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
        'collation', case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
        'comment', col_description(c.oid, a.attnum)
    )
    from relations as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    inner join pg_type as t on t.oid = a.atttypid
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relkind <> 'S'

    union all
    -- the index of a constraint is a part of it
    select 'constraint', format('%%I on %%s', coalesce(p.conname, k.conname), c.name), c.name, jsonb_build_object(
        'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
        'validation', case when k.convalidated then 'done' else 'missing' end,
        -- its triggers: on the table of the foreign key and on the one it refers to
        'enforcement', (
            select coalesce(string_agg(distinct format('its triggers on %%s %%s', t.tgrelid::regclass, case t.tgenabled
                when 'D' then 'are disabled' when 'R' then 'fire on a replica only' else 'fire on a replica too'
            end), '; ') filter (where t.tgenabled <> 'O'), 'in force')
            from pg_trigger as t
            where t.tgconstraint = k.oid and t.tgisinternal
            having count(*) > 0
        ),
        'index', case when not (i.indisvalid and i.indisready and i.indislive) then 'not valid' end,
        'comment', coalesce(obj_description(k.oid, 'pg_constraint'), obj_description(i.indexrelid, 'pg_class'))
    )
    from relations as c
    inner join pg_constraint as k on k.conrelid = c.oid and k.contype not in ('n', 't')
    left join pg_constraint as p on p.oid = k.conparentid
    left join pg_index as i on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')
    where p.conrelid is distinct from k.conrelid

    union all
    -- the index of a partition has the name of the partitioned one's
    select 'index', format('%%I on %%s', coalesce(p.relname, x.relname), c.name), c.name, jsonb_build_object(
        'definition', case when i.indisunique then 'unique ' else '' end
            || substr(pg_get_indexdef(x.oid), position('USING ' in pg_get_indexdef(x.oid))),
        'state', case when i.indisvalid and i.indisready and i.indislive then 'valid' else 'not valid' end,
        'comment', obj_description(x.oid, 'pg_class')
    )
    from relations as c
    inner join pg_index as i on i.indrelid = c.oid
    inner join pg_class as x on x.oid = i.indexrelid
    left join pg_inherits as h on h.inhrelid = x.oid
    left join pg_class as p on p.oid = h.inhparent
    where not exists (select from pg_constraint as k where k.conindid = x.oid and k.contype in ('p', 'u', 'x'))

    union all
    select 'trigger', format('%%I on %%s', t.tgname, c.name), c.name, jsonb_build_object(
        'definition', pg_get_triggerdef(t.oid),
        'state', case t.tgenabled
            when 'O' then 'enabled' when 'A' then 'enabled always' when 'R' then 'enabled on replicas' else 'disabled'
        end,
        'comment', obj_description(t.oid, 'pg_trigger')
    )
    from relations as c
    inner join pg_trigger as t on t.tgrelid = c.oid and not t.tgisinternal

    union all
    select 'rule', format('%%I on %%s', w.rulename, c.name), c.name, jsonb_build_object(
        'definition', pg_get_ruledef(w.oid),
        'state', case w.ev_enabled
            when 'O' then 'enabled' when 'A' then 'enabled always' when 'R' then 'enabled on replicas' else 'disabled'
        end
    )
    from relations as c
    inner join pg_rewrite as w on w.ev_class = c.oid and w.rulename <> '_RETURN'

    union all
    select 'row policy', format('%%I on %%s', p.polname, c.name), c.name, jsonb_build_object(
        'definition', concat_ws(
            ' ',
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
            'to ' || (
                select string_agg(coalesce(r.name, 'public'), ', ' order by r.name)
                from unnest(p.polroles) as u (oid)
                left join role_names as r on r.oid = u.oid
            ),
            'using ' || pg_get_expr(p.polqual, p.polrelid),
            'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)
        )
    )
    from relations as c
    inner join pg_policy as p on p.polrelid = c.oid

    union all
    select
        case f.prokind when 'p' then 'procedure' else 'function' end,
        f.name,
        quote_ident(f.nspname),
        jsonb_build_object(
            'owner', r.name,
            'arguments', pg_get_function_arguments(f.oid),
            'result', pg_get_function_result(f.oid),
            'language', l.lanname,
            'volatility', case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            'null arguments', case when f.proisstrict then 'give null' else 'are passed' end,
            'security', case when f.prosecdef then 'definer' else 'invoker' end,
            'leakproof', case when f.proleakproof then 'yes' end,
            'parallel', case f.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end,
            'settings', (select string_agg(c, ', ' order by c) from unnest(f.proconfig) as c),
            'body', coalesce(pg_get_function_sqlbody(f.oid), f.prosrc),
            'comment', obj_description(f.oid, 'pg_proc')
        )
    from functions as f
    inner join role_names as r on r.oid = f.proowner
    inner join pg_language as l on l.oid = f.prolang

    union all
    select 'type', format('%%I.%%I', n.nspname, t.typname), quote_ident(n.nspname), jsonb_build_object(
        'owner', r.name,
        'definition', case t.typtype
            when 'e' then (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum as e where e.enumtypid = t.oid)
            when 'd' then concat_ws(
                ' ',
                format_type(t.typbasetype, t.typtypmod),
                case when t.typnotnull then 'not null' end,
                'default ' || t.typdefault,
                (
                    select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname)
                    from pg_constraint as k
                    where k.contypid = t.oid and k.contype = 'c'
                )
            )
            when 'c' then (
                select string_agg(format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                from pg_attribute as a
                where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            )
        end,
        'comment', obj_description(t.oid, 'pg_type')
    )
    from pg_type as t
    inner join ours as n on n.oid = t.typnamespace
    inner join role_names as r on r.oid = t.typowner
    left join pg_class as c on c.oid = t.typrelid
    where t.typtype in ('e', 'd', 'r') or c.relkind = 'c'

    union all
    select 'statistics', format('%%I.%%I', n.nspname, s.stxname), s.stxrelid::regclass::text, jsonb_build_object(
        'definition', pg_get_statisticsobjdef(s.oid),
        'comment', obj_description(s.oid, 'pg_statistic_ext')
    )
    from pg_statistic_ext as s
    inner join ours as n on n.oid = s.stxnamespace

    union all
    -- kinds that the project doesn't use: operators, text search, collations and so on
    select o.type, o.identity, quote_ident(n.nspname), '{}'
    from pg_depend as d
    inner join ours as n on n.oid = d.refobjid
    cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) as o
    where d.refclassid = 'pg_namespace'::regclass
        and d.deptype = 'n'
        and d.classid not in (
            'pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass,
            'pg_statistic_ext'::regclass, 'pg_default_acl'::regclass, 'pg_extension'::regclass
        )

    union all
    select
        'grant',
        format('%%s to %%s', g.object, case g.grantee when 0 then 'public' when g.owner then 'its owner' else r.name end),
        g.part_of,
        jsonb_build_object('privileges', string_agg(
            distinct lower(g.privilege_type) || g.columns
                || case when g.is_grantable and g.grantee <> g.owner then ' with grant option' else '' end,
            ', '
        ))
    from (
        select
            case c.relkind when 'S' then 'sequence ' else '' end || c.name as object, c.name as part_of, c.relowner as owner,
            '' as columns, a.*
        from relations as c
        cross join lateral aclexplode(
            coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
        ) as a
        union all
        select c.name, c.name, c.relowner, format(' (%%I)', t.attname), a.*
        from relations as c
        inner join pg_attribute as t on t.attrelid = c.oid
        cross join lateral aclexplode(t.attacl) as a
        union all
        select
            case f.prokind when 'p' then 'procedure ' else 'function ' end || f.name, f.name, f.proowner, '', a.*
        from functions as f
        cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
        union all
        select 'schema ' || quote_ident(s.nspname), quote_ident(s.nspname), s.nspowner, '', a.*
        from ours as s
        cross join lateral aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) as a
        union all
        select
            format(
                'new %%s of %%s in %%I',
                case d.defaclobjtype
                    when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas'
                end,
                w.name, s.nspname
            ),
            quote_ident(s.nspname), d.defaclrole, '', a.*
        from pg_default_acl as d
        inner join ours as s on s.oid = d.defaclnamespace
        inner join role_names as w on w.oid = d.defaclrole
        cross join lateral aclexplode(d.defaclacl) as a
    ) as g
    left join role_names as r on r.oid = g.grantee
    group by 2, 3

    union all
    select 'extension', quote_ident(e.extname), null, jsonb_build_object('version', e.extversion, 'schema', n.nspname)
    from pg_extension as e
    inner join pg_namespace as n on n.oid = e.extnamespace

    union all
    select 'database setting', split_part(c, '=', 1), null, jsonb_build_object('value', substr(c, position('=' in c) + 1))
    from pg_db_role_setting as s
    cross join lateral unnest(s.setconfig) as c
    where s.setrole = 0 and s.setdatabase = (select oid from pg_database where datname = current_database())

    union all
    select 'role', 'the owner', null, jsonb_build_object('name', most.owner::regrole) from most where most.owner is not null
)

select kind, name, part_of, jsonb_strip_nulls(properties) as properties
from found
order by kind, name, properties::text
