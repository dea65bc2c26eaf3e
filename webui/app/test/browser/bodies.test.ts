// Bodies in every shape that people meet, looked at in the real console.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { check, schemes, sizes } from '../look.ts'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

const hexed = (s: string) => Buffer.from(s.replace(/\s+/g, ''), 'hex')
const part = (v: unknown) => Buffer.from(JSON.stringify(v)).toString('base64url')
const jwt = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ sub: 'ada', scope: 'read write', iat: 1_700_000_000, exp: 1_700_003_600 })}.c2lnbmF0dXJl`
const order = hexed('08 2a  12 0f 0a 03 746561 15 0000c03f 1a 01 ff 20 01  28 01')
const framed = (flags: number, b: Buffer) => Buffer.concat([Buffer.from([flags, 0, 0, b.length >> 8, b.length & 255]), b])
const proto = `syntax = "proto3";
package shop.v1;
message Order { int64 id = 1; repeated Item items = 2; Kind kind = 5; message Item { string name = 1; float price = 2; bytes raw = 3; bool sold = 4; } }
enum Kind { UNKNOWN = 0; CASH = 1; }
service Shop { rpc Buy(Order) returns (Order); }`
const script = `function greet(name){if(!name){return"nobody"}for(var i=0;i<3;i++){console.log("hello, "+name)}return name}`.repeat(4)

/** A second of a tone, as a WAV file. */
function wav(): Buffer {
  const samples = Buffer.alloc(8000)
  for (let i = 0; i < samples.length; i++) samples[i] = 128 + Math.round(40 * Math.sin(i / 3))
  const head = Buffer.from('RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data....', 'latin1')
  head.writeUInt32LE(36 + samples.length, 4)
  head.writeUInt32LE(samples.length, 40)
  return Buffer.concat([head, samples])
}

/** filmed makes a short film, in the browser. */
async function filmed(): Promise<number[]> {
  const canvas = document.createElement('canvas')
  const g = canvas.getContext('2d')!
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm;codecs=vp8' })
  const chunks: Blob[] = []
  recorder.ondataavailable = (e) => chunks.push(e.data)
  const done = new Promise((r) => (recorder.onstop = r))
  recorder.start()
  for (let i = 0; i < 10; i++) {
    g.fillStyle = `hsl(${i * 36} 80% 50%)`
    g.fillRect(0, 0, 320, 180)
    await new Promise((r) => requestAnimationFrame(r))
  }
  recorder.stop()
  await done
  return [...new Uint8Array(await new Blob(chunks).arrayBuffer())]
}

function fontFile(): string {
  try {
    const file = execFileSync('fc-match', ['-f', '%{file}', 'sans:fontformat=TrueType']).toString()
    return existsSync(file) && /\.(ttf|otf)$/.test(file) ? file : ''
  } catch {
    return ''
  }
}

const mega = 1 << 20
const item = Buffer.from('{"id":123456789,"name":"a name","tags":["x","y"],"text":"' + 'lorem ipsum '.repeat(20) + '"},')
let eaves: Eaves
let plain: Origin
let evil: Origin
let chrome: Browser
let context: BrowserContext
let page: Page
let errors: string[]
const evilAsked: string[] = []
const font = fontFile()
let pdf: Buffer = Buffer.alloc(0)
let film: Buffer = Buffer.alloc(0)

before(async () => {
  evil = await origin((q, a) => { evilAsked.push(q.url!); a.end('x') })
  plain = await origin((q, a) => {
    q.resume()
    const path = q.url!.split('?')[0]!
    const send = (type: string, body: string | Buffer, more: Record<string, string | string[]> = {}) => { a.writeHead(200, { 'Content-Type': type, ...more }); a.end(body) }
    switch (path) {
      case '/json': return send('application/json', '{"id":42,"list":[1,2,{"a":[]}],"name":"Ünï"}', { 'Set-Cookie': ['sid=a%20b; Path=/; HttpOnly', 'theme=dark'] })
      case '/token': return send('application/json', JSON.stringify({ access_token: jwt }))
      case '/script.js': return send('text/javascript', script)
      case '/style.css': return send('text/css', 'a{color:red;margin:0}b>c{display:none}'.repeat(20))
      case '/pack': return send('application/msgpack', hexed('83 a161 93 01 02 c0 a162 cb 3fb999999999999a a163 c4 02 0aff'))
      case '/proto': return send('application/x-protobuf', order)
      case '/shop.v1.Shop/Buy': return send('application/grpc', Buffer.concat([framed(0, order), framed(1, gzipSync(order))]), { 'grpc-encoding': 'gzip' })
      case '/graphql': return send('application/json', '{"data":{"me":{"id":1}}}')
      case '/sound': return send('audio/wav', wav())
      case '/font.ttf': return send('font/ttf', readFileSync(font))
      case '/doc.pdf': return send('application/pdf', pdf)
      case '/film.webm': return send('video/webm', film)
      case '/page': return send('text/html', `<!doctype html><html><head><title>x</title><link rel="preconnect" href="${evil.url}"><link rel="stylesheet" href="${evil.url}/s.css"><meta http-equiv="refresh" content="0;url=${evil.url}/refresh">
        <style>body{font-family:sans-serif;background:#fffbe8}h1{color:#7a1f2b}@import url(${evil.url}/i.css);p{background:url(${evil.url}/bg.png)}</style></head>
        <body><h1>A captured page</h1><p>Its own style is kept.</p><script>parent.hacked=1;top.location='${evil.url}/top'</script><img src="${evil.url}/i.png"><img src="x" onerror="parent.hacked=1">
        <a href="${evil.url}/link" target="_top">a link out</a><form action="${evil.url}/form" method="post"><button>Send</button></form><iframe src="${evil.url}/frame"></iframe></body></html>`)
      case '/cutgzip': {
        const whole = gzipSync(Buffer.from(Array.from({ length: 4000 }, (_, i) => `line ${i * 7919 % 104729}\n`).join('')))
        return send('text/plain', whole.subarray(0, whole.length / 2), { 'Content-Encoding': 'gzip' })
      }
      case '/cutchunks': {
        a.writeHead(200, { 'Content-Type': 'text/plain' })
        a.write('0123456789')
        return void setTimeout(() => a.destroy(), 50)
      }
      case '/binary': return send('application/octet-stream', Buffer.concat([Buffer.alloc(20 * mega, 0xfe), Buffer.from('the needle'), Buffer.alloc(mega, 0xfe)]))
      case '/big': {
        a.writeHead(200, { 'Content-Type': 'application/json' })
        a.write('[')
        let left = Math.ceil(100 * mega / item.length)
        const more = (): void => {
          while (left-- > 0) if (!a.write(item)) return void a.once('drain', more)
          a.end('{"needle":"in the haystack"}]')
        }
        return more()
      }
      default: return send('text/plain', 'ok')
    }
  })
  eaves = new Eaves()
  await eaves.start()
  chrome = await browser()
  const maker = await chrome.newPage()
  await maker.setContent('<h1>A document</h1>')
  pdf = await maker.pdf()
  film = Buffer.from(await maker.evaluate(filmed))
  await maker.close()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] })
  ;({ page, errors } = await open(context, eaves.url))
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  await evil?.close()
})

const url = (path: string) => plain.url + path

async function show(path: string, tab = 'Response'): Promise<void> {
  await row(page, path).waitFor()
  await row(page, path).click()
  await page.getByRole('tab', { name: tab, exact: true }).click()
}

const code = () => page.getByRole('region', { name: 'Body of the response', exact: true })
const view = (name: string) => page.getByRole('group', { name: 'View' }).getByRole('button', { name, exact: true })

describe('bodies', () => {
  test('a request shows query, cookies, credentials and tokens in other words', async () => {
    await eaves.get(url(`/json?query=${encodeURIComponent('{me{id}}')}`))
    await show('/json?query=', 'Request')
    await page.locator('pre', { hasText: /^\{\n {2}me \{\n {4}id/ }).waitFor()
    await eaves.get(url('/json?q=a+b%26c&lang=de'), { headers: { Cookie: 'sid=a%20b; theme=dark', Authorization: `Bearer ${jwt}`, 'Proxy-Note': 'x' } })
    await show('/json?q=', 'Request')
    assert.match(await page.getByRole('table', { name: 'Query parameters' }).innerText(), /q\s+a b&c\s+lang\s+de/)
    assert.match(await page.getByRole('table', { name: 'Cookies' }).innerText(), /sid\s+a b\s+theme\s+dark/)
    await page.getByText('The signature is not checked').waitFor()
    assert.match(await page.getByRole('table', { name: 'Claims' }).innerText(), /sub\s+ada[\s\S]*exp\s+1700003600 · 2023-11-1[45] [\d:]+, \d+ days ago/)
    await page.getByText('expired').waitFor()
    await page.getByText('The request has no body.').waitFor()
    await page.getByRole('tab', { name: 'Response', exact: true }).click()
    assert.match(await page.getByRole('table', { name: 'Cookies set' }).innerText(), /sid\s+a b\s+Path=\/; HttpOnly/)
    await page.getByRole('button', { name: 'Head', exact: true }).click()
    await page.getByRole('table', { name: 'Cookies set' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Head', exact: true }).click()
  })

  test('addresses of the tabs that were still lead there', async () => {
    const id = (await eaves.api<{ exchanges: { id: number }[] }>('/exchanges')).exchanges[0]!.id
    for (const [old, now] of [['headers', 'Request'], ['body', 'Response']]) {
      const { page: other } = await open(context, `${eaves.ready.console}/#/?id=${id}&tab=${old}`)
      await other.getByRole('tab', { name: now!, selected: true }).waitFor()
      await other.close()
    }
  })

  test('raw bytes are head and body as on the wire', async () => {
    await show('/json?q=', 'Raw')
    const text = page.getByRole('region', { name: 'The request as bytes' })
    await text.getByText('GET /json?q=a+b%26c&lang=de HTTP/1.1').waitFor()
    await page.getByRole('group', { name: 'Whose bytes' }).getByRole('button', { name: 'Response' }).click()
    const answer = page.getByRole('region', { name: 'The response as bytes' })
    await answer.getByText('HTTP/1.1 200 OK').waitFor()
    await answer.getByText('{"id":42').waitFor()
    await view('Hex').click()
    await answer.getByText('48 54 54 50').first().waitFor()
    await page.getByRole('button', { name: 'Copy the message' }).click()
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^HTTP\/1\.1 200 OK\r?\n[^]*\r?\n\r?\n\{"id":42/)
  })

  test('scripts and style sheets are laid out, tokens and GraphQL are read', async () => {
    for (const path of ['/script.js', '/style.css', '/token']) await eaves.get(url(path))
    await eaves.get(url('/graphql'), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ operationName: 'Me', query: 'query Me($n: Int!){me(first:$n){id name}}', variables: { n: 3 } }) })
    await show('/script.js')
    await code().getByText('  if (!name) {').first().waitFor()
    await view('Text').click()
    await code().getByText('function greet(name){if(!name)').first().waitFor()
    await show('/style.css')
    await code().getByText('  margin: 0').first().waitFor()
    await show('/token')
    await view('Token').click()
    await page.getByRole('region', { name: 'Tokens in the body' }).getByText('read write').waitFor()
    await show('/graphql', 'Request')
    const query = page.getByRole('region', { name: 'Body of the request' })
    await query.getByText('Operation Me').waitFor()
    assert.match(await query.innerText(), /query Me\(\$n: Int!\) \{\n {2}me\(first: \$n\) \{\n {4}id\n {4}name\n/)
    assert.match(await query.innerText(), /Variables[\s\S]*"n": 3/)
  })

  test('MessagePack, Protocol Buffers and gRPC are decoded, with a schema by name', async () => {
    for (const path of ['/pack', '/proto', '/shop.v1.Shop/Buy']) await eaves.get(url(path))
    await show('/pack')
    await code().getByText('"bytes 2: 0aff"').waitFor()
    await show('/proto')
    await code().getByText('"1 string": "tea"').waitFor()
    await page.getByText('Add a .proto schema').click()
    const schema = page.getByRole('textbox', { name: /The text of \.proto files/ })
    await schema.fill('message A {\n  int32 x = ;\n}')
    await page.getByRole('alert').getByText('Line 2: a whole number should stand here').waitFor()
    await schema.fill(proto)
    await page.getByRole('combobox', { name: 'Message type' }).selectOption('shop.v1.Order')
    await code().getByText('"name": "tea"').waitFor()
    await code().getByText('"kind": "CASH"').waitFor()
    // The method's own type is known by its path, and compressed messages are undone.
    await show('/shop.v1.Shop/Buy')
    await code().getByText(', gzip": {').waitFor()
    assert.equal(await code().getByText('"name": "tea"').count(), 2)
    assert.equal(await page.getByRole('combobox', { name: 'Message type' }).inputValue(), 'shop.v1.Order')
  })

  test('sound plays, a font writes, a PDF can be opened', async (t) => {
    for (const path of ['/sound', '/doc.pdf', '/film.webm']) await eaves.get(url(path))
    await show('/sound')
    await page.getByText('audio/wav · 1 s').waitFor()
    assert.equal(await page.locator('audio').evaluate(async (el: HTMLAudioElement) => { el.muted = true; await el.play(); el.pause(); return el.error }), null)
    // The tab stays: a click on it would wait for the viewer, which takes its time to start.
    await row(page, '/doc.pdf').click()
    const link = page.getByRole('link', { name: 'Open in a new tab' })
    const answer = await page.request.get(new URL(await link.getAttribute('href') ?? '', page.url()).href)
    assert.equal(answer.headers()['content-type'], 'application/pdf')
    if (await page.evaluate(() => navigator.pdfViewerEnabled)) {
      await until(() => page.frames().some((f) => f.url().startsWith('chrome-extension:')), 'the viewer to start')
    }
    await show('/film.webm')
    await page.getByText('video/webm · 300 × 150').waitFor()
    if (!font) return t.diagnostic('no TrueType font on this machine')
    await eaves.get(url('/font.ttf'))
    await show('/font.ttf')
    const sample = page.getByRole('region', { name: 'Text in this font' }).locator('p').first()
    await sample.waitFor()
    assert.match(await sample.evaluate((el) => getComputedStyle(el).fontFamily), /^"?captured-/)
  })

  test('a page is previewed without running or fetching anything', async () => {
    await eaves.get(url('/page'))
    await show('/page')
    await code().getByText('<h1>A captured page</h1>').waitFor()
    await view('Preview').click()
    const frame = page.frameLocator('iframe[title="Preview of the page"]')
    await frame.getByRole('heading', { name: 'A captured page' }).waitFor()
    assert.equal(await frame.locator('h1').evaluate((el) => getComputedStyle(el).color), 'rgb(122, 31, 43)')
    await frame.getByText('a link out').click()
    await frame.getByRole('button', { name: 'Send' }).click()
    await frame.getByRole('heading', { name: 'A captured page' }).waitFor()
    await page.screenshot({ path: 'screenshots/preview.png' })
    assert.equal(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked), undefined)
    assert.deepEqual(evilAsked, [])
    // What was blocked was said on the console; nothing else went wrong.
    assert.deepEqual(errors.splice(0).filter((e) => !/Content Security Policy|sandboxed/.test(e)), [])
  })

  test('JSON folds with the keyboard', async () => {
    await show('/json?q=')
    await code().getByText('"list"').waitFor()
    const button = code().getByRole('button', { name: 'Fold', exact: true })
    await button.first().focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowLeft')
    await code().getByText('… 3 … ]').waitFor()
    await page.keyboard.press('ArrowRight')
    await code().getByText('… 3 … ]').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Fold all', exact: true }).click()
    await code().getByText('… 3 … ]').waitFor()
    await page.getByRole('button', { name: 'Unfold all' }).click()
    await code().getByText('"a": []').waitFor()
  })

  test('a broken coding says at which byte, and what came before is shown', async () => {
    await eaves.get(url('/cutgzip'))
    await show('/cutgzip')
    await page.getByText(/At byte [\d,]+ the transferred body ends within its gzip coding; [\d,]+ bytes could be decoded/).waitFor()
    await code().getByText('line 7919').first().waitFor()
    await eaves.get(url('/cutchunks')).catch(() => 0)
    await show('/cutchunks')
    await page.getByText('it ends after byte 10').waitFor()
  })

  test('100 MB open at once, scroll to their end and are searched, and the page keeps turning', async () => {
    await eaves.get(url('/big'))
    await row(page, '/big').waitFor()
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
    const start = Date.now()
    await show('/big')
    await code().getByText('"id": 123456789').first().waitFor()
    const first = Date.now() - start
    await page.getByText(/This is the first/).waitFor({ state: 'detached', timeout: 60_000 })
    const all = Date.now() - start
    await code().evaluate((el) => (el.scrollTop = el.scrollHeight))
    await code().getByText('"needle": "in the haystack"').waitFor()
    await page.getByRole('button', { name: 'Find in the body' }).click()
    await page.getByRole('textbox', { name: 'Find' }).fill('IN THE HAY')
    await page.keyboard.press('Enter')
    await page.locator('.line.found').getByText('in the haystack').waitFor()
    await view('Hex').click()
    await page.getByRole('checkbox', { name: 'hex' }).check()
    await page.getByRole('textbox', { name: 'Find' }).fill('6e 65 65 64 6c 65 22 3a')
    await page.keyboard.press('Enter')
    await page.getByRole('region', { name: 'Body of the response, bytes' }).locator('mark').first().waitFor({ timeout: 30_000 })
    const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest)
    console.log(`    first lines after ${first} ms, all after ${all} ms, longest pause ${Math.round(longest)} ms`)
    assert.ok(first < 3000, `the first lines took ${first} ms`)
    // Much less on a machine that does nothing else.
    assert.ok(longest < 1500, `the page stood still for ${longest} ms`)
    assert.deepEqual(errors, [])
  })

  test('bytes are read and searched by ranges', async () => {
    await eaves.get(url('/binary'))
    await show('/binary')
    const hex = page.getByRole('region', { name: 'Body of the response, bytes' })
    await hex.getByText('fe fe fe fe').first().waitFor()
    await page.keyboard.press('F')
    await page.keyboard.type('THE NEEDLE')
    assert.equal(await page.getByRole('textbox', { name: 'Find' }).inputValue(), 'THE NEEDLE')
    await page.keyboard.press('Enter')
    await page.getByText('At byte 20,971,520').waitFor()
    await hex.locator('mark').first().waitFor()
    await page.keyboard.press('Enter')
    await page.getByText('the only one').waitFor()
    await page.getByRole('textbox', { name: 'Find' }).fill('nothing like it')
    await page.keyboard.press('Shift+Enter')
    await page.getByText('Not found').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('textbox', { name: 'Find' }).waitFor({ state: 'detached' })
    assert.deepEqual(errors, [])
  })

  for (const colorScheme of schemes) {
    for (const { name: width, ...viewport } of sizes) {
      if (width === 'narrow' && colorScheme === 'dark') continue
      test(`viewers look right: ${width}, ${colorScheme}`, async () => {
        const { page: other, errors: more } = await open(chrome, eaves.url, { ...viewport, colorScheme })
        const back = async () => { if (width === 'narrow') await other.getByRole('button', { name: 'Back to the list' }).click() }
        const look = async (path: string, text: string, name: string, then?: () => Promise<void>) => {
          await row(other, path).click()
          await other.getByRole('tab', { name: 'Response', exact: true }).click()
          await other.getByRole('tabpanel').getByText(text).first().waitFor()
          await then?.()
          await check(other, `bodies-${name}-${width}-${colorScheme}`)
          await back()
        }
        await look('/script.js', 'if (!name) {', 'formatted', async () => {
          await other.getByRole('button', { name: 'Find in the body' }).click()
          await other.getByRole('textbox', { name: 'Find' }).fill('hello')
          await other.keyboard.press('Enter')
          await other.locator('.line.found').waitFor()
        })
        await look('/proto', 'tea', 'proto', () => other.getByText(/Add a \.proto schema/).click())
        await look('/sound', 'audio/wav', 'sound')
        await row(other, '/json?q=').click()
        await other.getByRole('tab', { name: 'Request', exact: true }).click()
        await other.getByText('The signature is not checked').waitFor()
        await check(other, `bodies-request-${width}-${colorScheme}`)
        assert.deepEqual(more, [])
        await other.close()
      })
    }
  }
})
