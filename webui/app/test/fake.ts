// A console API without a proxy behind it, for what a real one cannot be made to do on demand: a hundred thousand rows at
// once, thousands of changes a second, gaps, resets and broken connections. It serves the built console and speaks
// HTTP and the stream as eaves does.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { extname, join } from 'node:path'
import type { Exchange, Message, Summary } from '../src/api/types.ts'
import { FakeSettings } from './fakesettings.ts'

const types: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' }
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"

interface Console {
  socket: Socket
  filter: string
}

export class Fake {
  exchanges: Exchange[] = []
  bodies = new Map<string, Buffer>()
  messages = new Map<number, Message[]>()
  settings = new FakeSettings()
  seq = 0
  store = 'fake-1'
  /** Paths asked for, newest last: what a test holds against the page's promises. */
  asked: string[] = []
  private removed = new Set<number>()
  private consoles = new Set<Console>()
  private server: Server | undefined
  private sockets = new Set<Socket>()

  constructor(private readonly dist: string) {}

  async listen(port = 0): Promise<string> {
    const server = createServer((q, a) => void this.serve(q, a))
    server.on('connection', (s) => {
      this.sockets.add(s)
      s.on('close', () => this.sockets.delete(s))
    })
    server.on('upgrade', (q, s) => this.upgrade(q, s as Socket))
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
    this.server = server
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  get port(): number { return (this.server?.address() as AddressInfo).port }

  /** close ends the server and every connection, as a killed process does. */
  async close(): Promise<void> {
    for (const s of this.sockets) s.destroy()
    this.consoles.clear()
    await new Promise<void>((done) => this.server?.close(() => done()))
  }

  /** add makes an exchange and tells every console. */
  add(over: Partial<Exchange> & { url?: string; status?: number } = {}): Exchange {
    const id = (this.exchanges[this.exchanges.length - 1]?.id ?? 0) + 1
    const x = exchange(id, ++this.seq, over)
    this.exchanges.push(x)
    this.tell(x)
    return x
  }

  change(id: number, over: Partial<Exchange>): void {
    const x = this.exchanges.find((e) => e.id === id)!
    Object.assign(x, over, { seq: ++this.seq })
    this.tell(x)
  }

  remove(ids: number[]): void {
    this.exchanges = this.exchanges.filter((x) => !ids.includes(x.id))
    for (const id of ids) this.removed.add(id)
    this.send({ type: 'removed', seq: ++this.seq, ids })
  }

  send(message: unknown): void {
    for (const c of this.consoles) frame(c.socket, JSON.stringify(message))
  }

  private tell(x: Exchange): void {
    if (this.consoles.size === 0) return
    const text = JSON.stringify({ type: 'exchange', seq: x.seq, exchange: summary(x) })
    for (const c of this.consoles) if (matches(x, c.filter)) frame(c.socket, text)
  }

  private async serve(q: IncomingMessage, a: ServerResponse): Promise<void> {
    const url = new URL(q.url!, 'http://fake')
    a.setHeader('Content-Security-Policy', policy)
    a.setHeader('X-Content-Type-Options', 'nosniff')
    if (!url.pathname.startsWith('/api/v1/')) {
      try {
        const name = url.pathname === '/' ? 'index.html' : url.pathname.slice(1)
        const file = await readFile(join(this.dist, name))
        a.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream')
        a.end(file)
      } catch {
        a.statusCode = 404
        a.end()
      }
      return
    }
    const path = url.pathname.slice('/api/v1'.length)
    this.asked.push(path + url.search)
    const json = (v: unknown, status = 200) => {
      a.statusCode = status
      a.setHeader('Content-Type', status < 400 ? 'application/json' : 'application/problem+json')
      a.end(JSON.stringify(v))
    }
    const wrong = (status: number, detail: string, column?: number) => json({ title: 'problem', status, detail, column }, status)
    if (await this.settings.serve(q, a, path)) return
    if (path === '/status') return json({ version: 'fake', proxy: '127.0.0.1:8484', ca: '/tmp/ca.pem', exchanges: this.exchanges.length, open: 0, recording: true })
    if (path === '/recording') return json({ recording: true })
    if (path === '/exchanges') return this.list(url.searchParams, json, wrong)
    const m = /^\/exchanges\/(\d+)(?:\/(request|response)\/body|\/(messages))?$/.exec(path)
    const x = m && this.exchanges.find((e) => e.id === Number(m[1]))
    if (!m || !x) return wrong(404, 'no exchange has this id, or it has been removed')
    if (m[3]) {
      const after = Number(url.searchParams.get('after') ?? 0)
      const limit = Number(url.searchParams.get('limit') ?? 100)
      return json({ messages: (this.messages.get(x.id) ?? []).filter((e) => e.n > after).slice(0, limit) })
    }
    if (!m[2]) return json(x)
    const body = this.bodies.get(`${x.id} ${m[2]}`) ?? Buffer.alloc(0)
    const range = /^bytes=(\d+)-(\d+)$/.exec(q.headers.range ?? '')
    if (!range || body.length === 0) return void a.end(body)
    const end = Math.min(Number(range[2]) + 1, body.length)
    a.statusCode = 206
    a.setHeader('Content-Range', `bytes ${range[1]}-${end - 1}/${body.length}`)
    a.end(body.subarray(Number(range[1]), end))
  }

  private list(q: URLSearchParams, json: (v: unknown) => void, wrong: (status: number, detail: string, column?: number) => void): void {
    const filter = q.get('filter') ?? ''
    const bad = /\bnosuch:/.exec(filter)
    if (bad) return wrong(400, `column ${bad.index + 1}: there is no field “nosuch”`, bad.index + 1)
    const limit = Number(q.get('limit') ?? 100)
    const all = filter ? this.exchanges.filter((x) => matches(x, filter)) : this.exchanges
    let page: Exchange[]
    if (q.has('after')) page = all.slice(at(all, Number(q.get('after')) + 1)).slice(0, limit)
    else if (q.has('changedAfter')) page = all.filter((x) => x.seq > Number(q.get('changedAfter'))).sort((a, b) => a.seq - b.seq).slice(0, limit)
    else {
      const end = q.has('before') ? at(all, Number(q.get('before'))) : all.length
      page = all.slice(Math.max(0, end - limit), end).reverse()
    }
    json({ exchanges: page.map(summary), seq: this.seq, ...(q.get('total') === 'true' ? { total: all.length } : {}) })
  }

  private upgrade(q: IncomingMessage, socket: Socket): void {
    const url = new URL(q.url!, 'http://fake')
    const key = createHash('sha1').update(q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`)
    const c: Console = { socket, filter: url.searchParams.get('filter') ?? '' }
    socket.on('error', () => {})
    socket.on('close', () => this.consoles.delete(c))
    socket.on('data', () => {}) // subscriptions: every message is sent to everybody here
    frame(socket, JSON.stringify({ type: 'hello', seq: this.seq, store: this.store, version: 'fake' }))
    const after = url.searchParams.get('after')
    const store = url.searchParams.get('store')
    if (after !== null && store !== null && store !== this.store) frame(socket, JSON.stringify({ type: 'reset' }))
    else if (after !== null) {
      for (const x of this.exchanges.filter((e) => e.seq > Number(after) && matches(e, c.filter)).sort((a, b) => a.seq - b.seq)) {
        frame(socket, JSON.stringify({ type: 'exchange', seq: x.seq, exchange: summary(x) }))
      }
      if (this.removed.size > 0) frame(socket, JSON.stringify({ type: 'removed', seq: this.seq, ids: [...this.removed] }))
    }
    this.consoles.add(c)
  }
}

function at(all: Exchange[], id: number): number {
  let lo = 0
  let hi = all.length
  while (lo < hi) {
    const mid = (lo + hi) >> 1
    if (all[mid]!.id < id) lo = mid + 1
    else hi = mid
  }
  return lo
}

function matches(x: Exchange, filter: string): boolean {
  // Of the language it knows words of the URL, and which exchanges began lately.
  const between = /^(?:\((.*)\) )?id>(\d+) id<=(\d+)$/.exec(filter)
  if (between) return x.id > Number(between[2]) && x.id <= Number(between[3]) && matches(x, between[1] ?? '')
  return filter === '' || x.request.url.includes(filter)
}

export function summary(x: Exchange): Summary {
  const { headers: _h, ...request } = x.request
  const { route: _r, tls: _t, clientTLS: _c, ...rest } = x
  return { ...rest, request, ...(x.response ? { response: { ...x.response, headers: undefined } } : {}) } as Summary
}

export function exchange(id: number, seq: number, over: Partial<Exchange> & { url?: string; status?: number } = {}): Exchange {
  const { url, status = 200, ...rest } = over
  return {
    id, seq, kind: 'http', state: 'done', startedDateTime: new Date(1700000000000 + id * 7).toISOString(), time: 5 + (id % 40), source: 'proxy',
    client: { address: '127.0.0.1:50000', httpVersion: 'HTTP/1.1' },
    request: { method: 'GET', url: url ?? `https://api${id % 5}.example.test/v1/items/${id}?page=${id % 7}`, httpVersion: 'HTTP/1.1', headers: [{ name: 'Host', value: 'example.test' }, { name: 'Accept', value: '*/*' }], headersSize: 80, bodySize: 0 },
    response: { status, statusText: 'OK', httpVersion: 'HTTP/1.1', headers: [{ name: 'Content-Type', value: 'application/json' }], content: { size: 20, mimeType: 'application/json' }, headersSize: 60, bodySize: 20, truncated: false },
    timings: { blocked: 0, dns: 1, connect: 2, ssl: -1, send: 0.1, wait: 2 + (id % 30), receive: 1 }, reused: false, answeredBy: 'origin', messages: 0, mark: '', comment: '',
    ...rest,
  }
}

/** frame writes one text message, masked as a client must. */
export function frame(socket: Socket, text: string, masked = false): void {
  const payload = Buffer.from(text)
  const n = payload.length
  const bit = masked ? 0x80 : 0
  let head: Buffer
  if (n < 126) head = Buffer.from([0x81, n | bit])
  else if (n < 65536) head = Buffer.from([0x81, 126 | bit, n >> 8, n & 255])
  else {
    head = Buffer.alloc(10)
    head[0] = 0x81
    head[1] = 127 | bit
    head.writeBigUInt64BE(BigInt(n), 2)
  }
  // A mask of zeros leaves the payload as it is.
  socket.write(masked ? Buffer.concat([head, Buffer.alloc(4), payload]) : Buffer.concat([head, payload]))
}
