// Takes the picture of the console that the README shows: the real eaves between real clients and origins that look like
// a small shop, and its bank (eaves lab mtls), which wants a client certificate and is behind a proxy that wants a password
// (tinyproxy). The names are this script's own: eaves and the proxy run with a hosts file of their own (a mount namespace,
// which takes root on Linux), and everybody listens on loopback addresses.

import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { connect as tlsConnect } from 'node:tls'
import { request } from 'node:http'
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { answers, browser, build, certificate, Eaves, row, temporary, until } from './real.ts'
import { frame } from './fake.ts'

const names = ['shop.example', 'www.shop.example', 'api.shop.example', 'cdn.shop.example', 'live.shop.example']
const address = '127.0.0.2'
const bankNames = ['api.bank.example', 'audit.bank.example']
const bankAddress = '127.0.0.4'
const proxyAddress = '127.0.0.5'

const basket = {
  id: 'b-20418', currency: 'EUR', customer: { id: 7, name: 'Ada Lovelace', since: '2019-12-10', newsletter: false },
  items: [{ sku: 'TEA-EG-250', name: 'Earl Grey, 250 g', quantity: 2, price: 8.9 }, { sku: 'CUP-BLUE', name: 'Cup, blue', quantity: 1, price: 14.5 }],
  shipping: { method: 'standard', price: 4.2 }, voucher: null, total: 36.5,
}

interface Made { status?: number; type: string; body: string | Buffer; wait: number; headers?: Record<string, string> }

function made(host: string, path: string): Made {
  const filler = (n: number) => Buffer.alloc(n, '/* a line of some style or script that a shop needs */\n')
  if (path === '/') return { type: 'text/html; charset=utf-8', body: '<!doctype html><title>Shop</title>' + filler(18_000), wait: 64 }
  if (path.endsWith('.css')) return { type: 'text/css', body: filler(31_000), wait: 22 }
  if (path.endsWith('.js')) return { type: 'text/javascript', body: filler(path.includes('vendor') ? 240_000 : 88_000), wait: path.includes('vendor') ? 41 : 30 }
  if (path.endsWith('.svg')) return { type: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>', wait: 15 }
  if (path.endsWith('.webp')) return { type: 'image/webp', body: filler(46_000), wait: 55 }
  if (path.endsWith('.woff2')) return { type: 'font/woff2', body: filler(27_000), wait: 25 }
  if (path === '/v2/session') return { type: 'application/json', body: '{"user":7,"csrf":"x"}', wait: 38 }
  if (path.startsWith('/v2/products')) return { type: 'application/json', body: JSON.stringify({ products: Array(40).fill(basket.items[0]) }), wait: 118 }
  if (path === '/v2/basket') return { type: 'application/json', body: JSON.stringify(basket), wait: 73 }
  if (path === '/v2/basket/items') return { status: 201, type: 'application/json', body: '{"ok":true}', wait: 96 }
  if (path === '/v2/recommendations') return { status: 503, type: 'application/problem+json', body: '{"title":"Service Unavailable"}', wait: 240 }
  if (path === '/v2/vouchers/SPRING') return { status: 404, type: 'application/problem+json', body: '{"title":"Not Found"}', wait: 33 }
  if (path === '/account') return { status: 302, type: 'text/html', body: '', wait: 28, headers: { location: '/login' } }
  return { type: 'text/html', body: `<p>${host}${path}`, wait: 20 }
}

async function main(): Promise<void> {
  const out = process.argv[2]!
  const { key, cert } = certificate(names, 'The Shop')
  const held: Http2ServerResponse[] = []
  const sockets = new Set<Socket>()
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true }, (q: Http2ServerRequest, a: Http2ServerResponse) => {
    q.resume()
    q.on('end', () => {
      const path = q.url.split('?')[0]!
      if (path === '/v2/orders/stream') {
        a.writeHead(200, { 'content-type': 'text/event-stream' })
        a.write('event: order\ndata: {"id":9912,"state":"packed"}\n\n')
        held.push(a)
        return
      }
      if (path === '/v2/checkout') return void held.push(a)
      const m = made(q.headers[':authority'] ?? q.headers.host ?? '', path)
      setTimeout(() => {
        a.writeHead(m.status ?? 200, { 'content-type': m.type, 'cache-control': 'no-store', 'x-request-id': createHash('md5').update(path).digest('hex').slice(0, 12), ...m.headers })
        const half = m.body.length >> 1
        a.write(m.body.slice(0, half))
        setTimeout(() => a.end(m.body.slice(half)), m.body.length > 20_000 ? 18 : 1)
      }, m.wait)
    })
  })
  server.on('connection', (s: Socket) => { sockets.add(s); s.on('close', () => sockets.delete(s)) })
  server.on('upgrade', (q, s: Socket) => {
    const accept = createHash('sha1').update(q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
    s.on('error', () => {})
    s.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    for (const t of ['{"stock":{"TEA-EG-250":41}}', '{"stock":{"CUP-BLUE":3}}', '{"viewers":18}']) frame(s, t)
  })
  await new Promise<void>((done) => server.listen(443, address, done))

  const dir = temporary()
  const hosts = join(dir, 'hosts')
  writeFileSync(hosts, `127.0.0.1 localhost\n${names.map((n) => `${address} ${n}\n`).join('')}${bankNames.map((n) => `${bankAddress} ${n}\n`).join('')}${proxyAddress} proxy.corp.example\n${address} old.shop.example\n127.0.0.3 search.shop.example\n`)
  const within = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]
  writeFileSync(join(dir, 'tinyproxy.conf'), `Port 3128\nListen ${proxyAddress}\nTimeout 60\nMaxClients 20\nConnectPort 443\nBasicAuth ada sesame\n`)
  const proxy = spawn(within[0]!, [...within.slice(1), 'tinyproxy', '-d', '-c', join(dir, 'tinyproxy.conf')], { stdio: 'ignore' })
  await until(() => answers(3128, proxyAddress), 'the proxy to listen')
  const lab = join(dir, 'lab')
  const bank = spawn(build(), ['lab', 'mtls', '--strict', '--name', 'bank.example', '--listen', `${bankAddress}:443`, '--dir', lab, '--data', dir], { stdio: 'ignore' })
  await until(() => answers(443, bankAddress), 'the bank to listen')
  writeFileSync(join(dir, 'trusted.pem'), readFileSync(cert, 'utf8') + readFileSync(join(lab, 'ca.pem'), 'utf8'))
  const eaves = new Eaves({ SSL_CERT_FILE: join(dir, 'trusted.pem') }, within)
  await eaves.start()
  const post = (path: string, body: unknown) => eaves.api(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  await post('/client-certificates', { host: 'api.bank.example', pfxFile: join(lab, 'client.p12'), secret: 'lab' })
  await post('/client-certificates', { host: 'audit.bank.example', certificateFile: join(lab, 'expired.pem'), keyFile: join(lab, 'expired.key') })
  await post('/routes', { host: '*.bank.example', via: ['http://proxy.corp.example:3128'], user: 'ada', secret: 'sesame' })
  const get = (url: string, ...more: string[]) => eaves.curl('-A', 'Mozilla/5.0', ...more, url)
  await get('https://www.shop.example/')
  await Promise.all(['https://cdn.shop.example/assets/app.css', 'https://cdn.shop.example/assets/vendor.js', 'https://cdn.shop.example/assets/app.js', 'https://cdn.shop.example/fonts/inter.woff2', 'https://cdn.shop.example/img/logo.svg'].map((u) => get(u)))
  await Promise.all([get('https://api.shop.example/v2/session'), get('https://api.shop.example/v2/products?category=tea&page=1'), get('https://cdn.shop.example/img/hero.webp'), get('https://search.shop.example/suggest?q=earl')])
  const socket = await webSocket(eaves, 'live.shop.example')
  await get('https://api.shop.example/v2/recommendations')
  await get('https://api.shop.example/v2/basket/items', '-H', 'Content-Type: application/json', '--data-binary', '{"sku":"TEA-EG-250","quantity":2}')
  await get('https://api.shop.example/v2/basket', '-H', 'Authorization: Bearer example')
  await get('https://api.bank.example/v1/accounts')
  await get('https://audit.bank.example/v1/entries')
  await get('https://api.bank.example:8443/v1/status')
  await get('https://api.bank.example/v1/payments', '-H', 'Content-Type: application/json', '--data-binary', '{"to":"Tea & Co.","amount":178,"currency":"EUR"}')
  await get('https://api.shop.example/v2/vouchers/SPRING')
  await get('https://www.shop.example/account')
  await get('https://old.shop.example/sitemap.xml')
  void get('https://api.shop.example/v2/orders/stream')
  await new Promise((r) => setTimeout(r, 300))
  void get('https://api.shop.example/v2/checkout', '-X', 'POST')

  const chrome = await browser()
  const context = await chrome.newContext({ viewport: { width: 1440, height: 810 }, deviceScaleFactor: 2, colorScheme: 'light' })
  const page = await context.newPage()
  await page.goto(eaves.url)
  await row(page, '/v2/checkout').waitFor()
  await row(page, '/v1/payments').click()
  await page.getByText('basic authentication').waitFor()
  await page.getByRole('separator').focus()
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Tab')
  await page.evaluate(() => (document.activeElement as HTMLElement).blur())
  await until(async () => (await page.locator('.runway .row').count()) > 15, 'the rows')
  mkdirSync(dirname(out), { recursive: true })
  await page.screenshot({ path: out, animations: 'disabled' })
  await chrome.close()
  for (const a of held) a.destroy()
  socket.destroy()
  await eaves.stop()
  proxy.kill()
  bank.kill()
  for (const s of sockets) s.destroy()
  server.close()
}

/** webSocket opens a WebSocket over TLS through the proxy. */
function webSocket(eaves: Eaves, host: string): Promise<Socket> {
  const [proxy, port] = eaves.ready.proxy.split(':')
  return new Promise((resolve, reject) => {
    request({ host: proxy, port: Number(port), method: 'CONNECT', path: `${host}:443` }).on('connect', (_a, raw) => {
      const s = tlsConnect({ socket: raw, servername: host, ca: readFileSync(eaves.ready.ca), ALPNProtocols: ['http/1.1'] })
      s.on('error', reject)
      s.write(`GET /stock HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
      s.once('data', () => resolve(s))
    }).on('error', reject).end()
  })
}

await main()
