// Captures are hostile: whatever they hold is shown, never obeyed, and never holds up the page.

import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { after, before, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

const script = `<script>window.hacked=1</script><img src=x onerror="window.hacked=1"><svg onload="window.hacked=1">`
/** A GiB of zeros in a MiB. */
const bomb = Buffer.concat(Array<Buffer>(64).fill(gzipSync(Buffer.alloc(16 << 20, 'z'))))
let eaves: Eaves
let plain: Origin
let chrome: Browser
let context: BrowserContext
let page: Page
let errors: string[]

before(async () => {
  plain = await origin((q, a) => {
    q.resume()
    const path = q.url!.split('?')[0]
    if (path === '/page') {
      a.writeHead(200, { 'Content-Type': 'text/html', 'X-Evil': script, 'X-Bidi': Buffer.from('user\u202egnp.exe').toString('latin1') })
      return void a.end(`<!doctype html><html><body>${script}<a href="javascript:window.hacked=1">x</a></body></html>`)
    }
    if (path === '/svg') {
      a.writeHead(200, { 'Content-Type': 'image/svg+xml' })
      return void a.end('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><script>parent.hacked=1;window.hacked=1</script><rect width="20" height="20"/></svg>')
    }
    if (path === '/json') {
      a.writeHead(200, { 'Content-Type': 'application/json' })
      return void a.end(JSON.stringify({ [script]: script, bidi: 'a\u202eb', __proto__x: 1, zero: 'x\u0000y' }))
    }
    if (path === '/huge') {
      a.writeHead(200, { 'Content-Type': 'application/json' })
      const item = Buffer.from('{"id":123456789,"name":"a name","tags":["x","y"],"text":"' + 'lorem ipsum '.repeat(80) + '"},')
      a.write('[')
      const n = Math.ceil((50 << 20) / item.length)
      let i = 0
      const more = () => {
        while (i++ < n) if (!a.write(item)) return void a.once('drain', more)
        a.end('{"last":true}]')
      }
      return more()
    }
    if (path === '/string') {
      a.writeHead(200, { 'Content-Type': 'application/json' })
      return void a.end(`{"one":"${'y'.repeat(6 << 20)}","end":1}`)
    }
    if (path === '/parts') {
      a.writeHead(200, { 'Content-Type': 'multipart/mixed; boundary=b' })
      return void a.end('--b\r\nContent-Type: text/html\r\nContent-Disposition: form-data; name="<img src=x onerror=window.hacked=1>"; filename="../../\u202egnp.exe"\r\n\r\n<script>window.hacked=1</script>\r\n'.repeat(100_000) + '--b--')
    }
    if (path === '/deep-proto') {
      const heads: Buffer[] = []
      let size = 0
      const varint = (n: number): number[] => (n < 128 ? [n] : [n & 127 | 128, ...varint(n >> 7)])
      for (let i = 0; i < 10_000; i++) {
        heads.push(Buffer.from([0x0a, ...varint(size)]))
        size += heads[i]!.length
      }
      a.writeHead(200, { 'Content-Type': 'application/x-protobuf' })
      return void a.end(Buffer.concat(heads.reverse()))
    }
    if (path === '/deep-pack') {
      a.writeHead(200, { 'Content-Type': 'application/msgpack' })
      return void a.end(Buffer.concat([Buffer.alloc(10_000, 0x91), Buffer.from([0xa1, 0x61])]))
    }
    if (path === '/token') {
      const part = (v: unknown) => Buffer.from(JSON.stringify(v)).toString('base64url')
      a.writeHead(200, { 'Content-Type': 'text/plain', 'X-Token': `${part({ alg: 'none', kid: script })}.${part({ sub: 'a\u202eb', exp: 1e300, '<b>': script })}.` })
      return void a.end(`${part({ alg: 'none' })}.${part({ x: 'y'.repeat(3 << 20) })}.`)
    }
    if (path === '/fake-pdf' || path === '/fake-font') {
      a.writeHead(200, { 'Content-Type': path === '/fake-pdf' ? 'application/pdf' : 'font/woff2' })
      return void a.end(path === '/fake-pdf' ? `%PDF-1.4\n${script}` : Buffer.concat([Buffer.from('wOF2'), Buffer.alloc(4096, 0xff)]))
    }
    if (path === '/bomb') {
      a.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' })
      return void a.end(bomb)
    }
    if (path === '/invalid') {
      a.writeHead(200, { 'Content-Type': 'text/plain' })
      return void a.end(Buffer.concat([Buffer.from('good '), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from(' end')]))
    }
    a.writeHead(200, { 'Content-Type': `text/plain"><script>window.hacked=1</script>` })
    a.end('ok')
  })
  eaves = new Eaves()
  await eaves.start()
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] })
  ;({ page, errors } = await open(context, eaves.url))
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
})

const url = (path: string) => plain.url + path
const unharmed = async () => {
  assert.equal(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked), undefined, 'captured script ran')
  assert.deepEqual(errors, [])
}

/** watch begins to note the longest time between two turns of the page's event loop. */
async function watch(): Promise<void> {
  await page.evaluate(() => {
    const w = window as unknown as { longest: number }
    w.longest = 0
    let last = performance.now()
    setInterval(() => {
      const now = performance.now()
      w.longest = Math.max(w.longest, now - last)
      last = now
    }, 10)
  })
}

async function neverStill(): Promise<void> {
  const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest)
  console.log(`    longest pause of the page: ${Math.round(longest)} ms`)
  assert.ok(longest < 1500, `the page stood still for ${longest} ms`)
}

test('script in URL, header, type and body stays text, in every view', async () => {
  await eaves.get(url(`/page?q=${encodeURIComponent(script)}&raw='"><script>window.hacked=1</script>`)).catch(() => 0)
  await eaves.get(url('/page'), { headers: { 'X-Client': script } })
  await eaves.get(url('/other'))
  await eaves.get(url('/json'))
  await eaves.get(url('/svg'))
  await row(page, '/svg').waitFor()
  for (const r of ['/page', '/other', '/json', '/svg']) {
    await row(page, r).click()
    for (const tab of ['Overview', 'Request', 'Response', 'Timing', 'TLS', 'Raw']) {
      await page.getByRole('tab', { name: tab }).click()
      if (tab !== 'Response' && tab !== 'Raw') continue
      for (const b of await page.getByRole('group', { name: 'View' }).getByRole('button').all()) await b.click()
    }
    if (r !== '/page') continue
    await page.keyboard.press('c')
    await page.keyboard.press('e')
    await page.getByRole('dialog').getByLabel('URL').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
  await row(page, '/page').click()
  await page.getByRole('tab', { name: 'Response' }).click()
  await page.getByText(script).first().waitFor()
  await unharmed()
})

test('characters that reorder or hide text are written out', async () => {
  await row(page, '/page').click()
  await page.getByRole('tab', { name: 'Response' }).click()
  await page.getByText('user‹U+202E›gnp.exe').waitFor()
  await row(page, '/json').click()
  await page.getByRole('tab', { name: 'Response' }).click()
  await page.getByText('a‹U+202E›b').waitFor()
  await unharmed()
})

test('a hostile filter in the address does no harm', async () => {
  await page.goto(`${eaves.ready.console}/#/?filter=${encodeURIComponent(script)}&id=1&tab=%3Cscript%3E`)
  await page.reload()
  await page.getByText('Nothing matches').or(page.locator('.runway .row')).first().waitFor()
  // A filter that cannot be read shows everything, and says what is wrong with it.
  const wrong = `${eaves.ready.console}/#/?filter=nosuch%3A${encodeURIComponent(script)}`
  await page.goto(wrong)
  await page.getByRole('alert').first().waitFor()
  const { page: fresh, errors: more } = await open(context, wrong)
  await fresh.getByRole('alert').first().waitFor()
  await row(fresh, '/json').waitFor()
  assert.deepEqual(more, [])
  await fresh.close()
  await unharmed()
  await page.goto(`${eaves.ready.console}/#/`)
  await row(page, '/json').waitFor()
})

test('script in WebSocket messages stays text', async () => {
  const ws = await eaves.socket(url('/ws'))
  ws.send(`${script.slice(0, 90)}\u202e`)
  await row(page, '/ws').waitFor()
  await row(page, '/ws').click()
  await page.getByRole('tab', { name: 'Messages' }).click()
  await page.getByRole('region', { name: 'Messages' }).getByText('<script>window.hacked=1').first().click()
  await page.getByRole('region', { name: 'Message 1', exact: true }).getByText('‹U+202E›').waitFor()
  ws.close()
  await unharmed()
})

test('bytes that are not UTF-8 are named, and all there in hex', async () => {
  await eaves.get(url('/invalid'))
  await row(page, '/invalid').waitFor()
  await row(page, '/invalid').click()
  await page.getByRole('tab', { name: 'Response' }).click()
  await page.getByText('At byte 5 this is not UTF-8').waitFor()
  await page.getByRole('button', { name: 'Hex' }).click()
  await page.getByText('ff fe c0').waitFor()
})

test('JSON of 50 MB on one line opens at once, can be laid out whole, and never freezes the page', async () => {
  await eaves.get(url('/huge'))
  await eaves.get(url('/string'))
  await row(page, '/string').waitFor()
  await watch()
  const start = Date.now()
  await row(page, '/huge').click()
  await page.getByRole('tab', { name: 'Response' }).click()
  const code = page.getByRole('region', { name: 'Body of the response' })
  await code.getByText('"id": 123456789').first().waitFor()
  assert.ok(Date.now() - start < 5000, `it took ${Date.now() - start} ms to see it`)
  await page.getByText('This is the first 1 MB of 50 MB').waitFor({ state: 'detached', timeout: 30_000 })
  await code.evaluate((el) => (el.scrollTop = el.scrollHeight))
  await code.getByText('"last": true').waitFor()
  await page.getByRole('button', { name: 'Hex' }).click()
  const hex = page.getByRole('region', { name: 'Body of the response, bytes' })
  await hex.evaluate((el) => (el.scrollTop = el.scrollHeight))
  await hex.getByText('true}]').waitFor()
  await row(page, '/string').click()
  await code.getByText('"one": "yyyy').waitFor()
  await code.evaluate((el) => (el.scrollTop = el.scrollHeight))
  await code.getByText('"end": 1').waitFor()
  await neverStill()
  await unharmed()
})

test('hostile bytes neither run nor freeze, whichever way they are looked at', async () => {
  const paths = ['/parts', '/deep-proto', '/deep-pack', '/token', '/fake-pdf', '/fake-font']
  for (const path of paths) await eaves.get(url(path))
  await row(page, '/fake-font').waitFor()
  await watch()
  const shown: Record<string, string> = {
    '/parts': 'more parts than are shown', '/deep-proto': '"1 message": {', '/deep-pack': 'nested deeper than 500 levels', '/token': 'no signature', '/fake-pdf': 'Open in a new tab', '/fake-font': 'does not take this font',
  }
  for (const path of paths) {
    await row(page, path).click()
    await page.getByRole('tab', { name: 'Response' }).click()
    await page.getByRole('tabpanel').getByText(shown[path]!).first().waitFor()
    if (path === '/parts') await page.getByText('../../‹U+202E›gnp.exe').first().waitFor()
    for (const b of await page.getByRole('group', { name: 'View' }).getByRole('button').all()) await b.click()
  }
  await row(page, '/token').click()
  await page.getByText('a‹U+202E›b').first().waitFor()
  await neverStill()
  await unharmed()
})

test('a bomb is decoded so far only, and says so', async () => {
  await eaves.get(url('/bomb'))
  await row(page, '/bomb').waitFor()
  await row(page, '/bomb').click()
  await page.getByText(/This is the first \d\d MB of a long body/).waitFor()
  await page.getByRole('button', { name: 'Load up to 256 MB' }).click()
  await page.getByText('No more than 256 MB of a body is shown').waitFor({ timeout: 60_000 })
  await unharmed()
})

test('opening a body’s address does not render it', async () => {
  const id = (await eaves.api<{ exchanges: { id: number }[] }>('/exchanges?filter=path:/svg')).exchanges[0]!.id
  const other = await context.newPage()
  const download = other.waitForEvent('download').catch(() => undefined)
  await other.goto(`${eaves.ready.console}/api/v1/exchanges/${id}/response/body`).catch(() => {})
  await until(async () => (await Promise.race([download, Promise.resolve('none')])) !== 'none' || other.url() === 'about:blank', 'a download instead of a page', 5000).catch(() => {})
  assert.equal(await other.evaluate(() => document.querySelector('svg')), null)
  await other.close()
})
