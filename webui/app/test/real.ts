// The real thing for browser tests and pictures: eaves as it is built from this tree, origins for it to talk to, clients
// that go through it, and a browser to look at its console.

import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type RequestListener } from 'node:http'
import { createServer as createTLSServer } from 'node:https'
import { connect, createServer as createTCPServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { frame } from './fake.ts'

const run = promisify(execFile)

/** The tree that this app is part of. */
const root = join(process.cwd(), '..', '..')

let binary = process.env.EAVES_BINARY

/** build makes the program, unless it was made for all tests together. */
export function build(): string {
  if (binary) return binary
  binary = join(temporary(), 'eaves')
  execFileSync('go', ['build', '-tags', 'sqlite_fts5', '-o', binary, './cmd/eaves'], { cwd: root, stdio: 'inherit' })
  return binary
}

/** temporary is a directory that goes when the process does. */
export function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'eaves-console-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export interface Ready {
  pid: number
  proxy: string
  console: string
  token: string
  ca: string
  data: string
}

export class Eaves {
  ready!: Ready
  private child: ChildProcess | undefined
  /** More flags of eaves run, from the next start on. */
  arguments: string[] = []
  readonly dir = temporary()

  /** prefix is a command to run eaves with. */
  constructor(private readonly env: Record<string, string> = {}, private readonly prefix: string[] = []) {}

  /** start runs eaves; a second start takes the addresses of the first, with another data directory if one is given. */
  async start(data = join(this.dir, 'data')): Promise<void> {
    const file = join(this.dir, 'ready.json')
    rmSync(file, { force: true })
    const [command, ...args] = [
      ...this.prefix, build(), 'run', '--data', data, '--ready-file', file,
      '--listen', this.ready?.proxy ?? '127.0.0.1:0', '--console', this.ready ? new URL(this.ready.console).host : '127.0.0.1:0', ...this.arguments,
    ]
    const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...this.env } })
    this.child = child
    let said = ''
    child.stderr!.on('data', (b) => (said += b))
    await until(() => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`eaves ended with ${child.exitCode}: ${said}`)
      return existsSync(file)
    }, 'eaves to listen')
    this.ready = JSON.parse(readFileSync(file, 'utf8')) as Ready
  }

  get url(): string { return `${this.ready.console}/?token=${this.ready.token}` }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((done) => child.once('exit', done))
    child.kill(signal)
    await gone
  }

  /** signal is for standing still and going on. */
  signal(name: NodeJS.Signals): void {
    if (this.child?.exitCode === null) this.child.kill(name)
  }

  async api<T>(path: string, init: RequestInit = {}): Promise<T> {
    const r = await fetch(`${this.ready.console}/api/v1${path}`, { ...init, headers: { Authorization: `Bearer ${this.ready.token}`, ...init.headers } })
    if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`)
    return (r.status === 204 ? undefined : await r.json()) as T
  }

  /** get sends one request through the proxy and reads its answer to the end. */
  get(url: string, options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {}): Promise<number> {
    const [host, port] = this.ready.proxy.split(':')
    return new Promise((resolve, reject) => {
      const q = httpRequest({
        host, port: Number(port), path: url, method: options.method ?? 'GET', agent: false,
        headers: { Host: new URL(url).host, ...options.headers, ...(options.body !== undefined ? { 'Content-Length': Buffer.byteLength(options.body) } : {}) },
      }, (a) => {
        a.resume()
        a.on('end', () => resolve(a.statusCode!))
        a.on('error', () => resolve(0))
      })
      q.on('error', reject)
      q.end(options.body)
    })
  }

  /** curl goes through the proxy as a user's curl does. A failure is an answer, too. */
  async curl(...args: string[]): Promise<string> {
    try {
      return (await run('curl', ['-sS', '--max-time', '10', '--proxy', `http://${this.ready.proxy}`, '--cacert', this.ready.ca, '-o', '-', ...args], { encoding: 'buffer', maxBuffer: 64 << 20 })).stdout.toString('latin1')
    } catch (e) {
      return String(e)
    }
  }

  /** socket opens a WebSocket through the proxy. */
  async socket(url: string): Promise<WebSocketClient> {
    const [host, port] = this.ready.proxy.split(':')
    const socket = connect(Number(port), host)
    const c = new WebSocketClient(socket)
    socket.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
    await until(() => c.open, 'the WebSocket to open')
    return c
  }
}

export class WebSocketClient {
  open = false

  constructor(private readonly socket: Socket) {
    socket.on('error', () => {})
    socket.on('data', (b) => { if (b.includes('101')) this.open = true })
  }

  send(text: string): void { frame(this.socket, text, true) }
  close(): void { this.socket.end() }
}

export interface Origin {
  url: string
  close(): Promise<void>
}

/** origin serves plain HTTP, and echoes WebSocket messages. */
export async function origin(listener: RequestListener): Promise<Origin> {
  const server = createServer(listener)
  server.on('upgrade', (q, s) => {
    const socket = s as Socket
    const accept = createHash('sha1').update(q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    socket.on('data', (b) => {
      // Short text messages, one a packet, are all that tests send.
      const n = b[1]! & 127
      if ((b[0]! & 15) !== 1 || n > 125) return
      const mask = b.subarray(2, 6)
      frame(socket, Buffer.from(b.subarray(6, 6 + n).map((c, i) => c ^ mask[i % 4]!)).toString())
    })
  })
  return listening(server, 'http', '127.0.0.1')
}

/** tlsOrigin serves HTTPS for localhost under a certificate made for the test; trust names the file to trust it by. */
export async function tlsOrigin(listener: RequestListener): Promise<Origin & { trust: string }> {
  const { key, cert } = certificate(['localhost'], 'Test origin')
  const server = createTLSServer({ key: readFileSync(key), cert: readFileSync(cert) }, listener)
  return { ...(await listening(server, 'https', 'localhost')), trust: cert }
}

/** certificate makes a key and a certificate for names. */
export function certificate(names: string[], organisation: string): { key: string; cert: string } {
  const dir = temporary()
  const key = join(dir, 'key.pem')
  const cert = join(dir, 'cert.pem')
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', `/CN=${names[0]}/O=${organisation}`,
    '-addext', `subjectAltName=${names.map((n) => `DNS:${n}`).join()}`, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { key, cert }
}

async function listening(server: Server, scheme: string, host: string): Promise<Origin> {
  const sockets = new Set<Socket>()
  server.on('connection', (s: Socket) => { sockets.add(s); s.on('close', () => sockets.delete(s)) })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `${scheme}://${host}:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((done) => {
      for (const s of sockets) s.destroy()
      server.close(() => done())
    }),
  }
}

export async function until(check: () => boolean | Promise<boolean>, what: string, within = 20_000): Promise<void> {
  const end = Date.now() + within
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`waited ${within} ms in vain for ${what}`)
    await new Promise((r) => setTimeout(r, 25))
  }
}

/** free is a port of 127.0.0.1 that nobody listens on. */
export function free(): Promise<number> {
  return new Promise((resolve) => {
    const s = createTCPServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address() as AddressInfo
      s.close(() => resolve(port))
    })
  })
}

/** answers says whether somebody listens on a port. */
export function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const s = connect(port, host)
    s.on('connect', () => { s.destroy(); resolve(true) })
    s.on('error', () => resolve(false))
  })
}

export function browser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

/** A page of the console that fails the test on any script error or anything the content security policy had to stop. */
export async function open(b: Browser | BrowserContext, url: string, options: { width?: number; height?: number; colorScheme?: 'light' | 'dark' } = {}): Promise<{ page: Page; errors: string[] }> {
  const errors: string[] = []
  const page = 'newContext' in b
    ? await b.newPage({ viewport: { width: options.width ?? 1280, height: options.height ?? 800 }, colorScheme: options.colorScheme ?? 'light' })
    : await b.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (e) => errors.push(e.message))
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource|WebSocket connection|ERR_CONNECTION/.test(m.text())) errors.push(m.text()) })
  page.on('dialog', (d) => { errors.push(`a dialog opened: ${d.message()}`); void d.dismiss() })
  await page.goto(url)
  return { page, errors }
}

/** row is the list's row of an exchange whose URL holds text. */
export function row(page: Page, text: string) {
  return page.locator('.runway .row', { hasText: text }).last()
}
