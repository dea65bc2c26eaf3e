// The console against the real eaves: what a user sees, does and gets.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gzipSync, brotliCompressSync, deflateSync } from 'node:zlib'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { browser, Eaves, open, origin, row, tlsOrigin, until, type Origin } from '../real.ts'

const tree = { id: 42, name: 'Ünï', price: 12345678901234567890n.toString(), list: [1, 2, { a: [], b: {} }], none: null, deep: { er: { still: ['x'] } } }

let eaves: Eaves
let plain: Origin
let secure: Origin & { trust: string }
let chrome: Browser
let context: BrowserContext
let page: Page
let errors: string[]
const seen: { method: string; url: string; headers: IncomingMessage['rawHeaders']; body: string }[] = []
const held: ServerResponse[] = []

function serve(q: IncomingMessage, a: ServerResponse): void {
  const chunks: Buffer[] = []
  q.on('data', (c) => chunks.push(c))
  q.on('end', () => {
    seen.push({ method: q.method!, url: q.url!, headers: q.rawHeaders, body: Buffer.concat(chunks).toString('latin1') })
    answer(q, a)
  })
}

function answer(q: IncomingMessage, a: ServerResponse): void {
  const path = q.url!.split('?')[0]!
  const send = (type: string, body: string | Buffer, headers: Record<string, string> = {}, status = 200) => {
    a.writeHead(status, { 'Content-Type': type, 'X-Order-B': '1', 'x-order-a': '2', ...headers })
    a.end(body)
  }
  const json = JSON.stringify(tree)
  if (path === '/json') return send('application/json', json)
  if (path === '/gzip') return send('application/json', gzipSync(json), { 'Content-Encoding': 'gzip' })
  if (path === '/br') return send('application/json', brotliCompressSync(json), { 'Content-Encoding': 'br' })
  if (path === '/deflate') return send('application/json', deflateSync(json), { 'Content-Encoding': 'deflate' })
  if (path === '/badgzip') return send('application/json', Buffer.from('this is not gzip'), { 'Content-Encoding': 'gzip' })
  if (path === '/brokenjson') return send('application/json', '{"a":1,"b":}')
  if (path === '/xml') return send('application/xml', '<?xml version="1.0"?><shop><item id="1"><name>Tea</name></item><empty/></shop>')
  if (path === '/html') return send('text/html', '<!doctype html><title>x</title><p class="a">hello</p>')
  if (path === '/png') return send('image/png', Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC', 'base64'))
  if (path === '/bytes') return send('application/octet-stream', Buffer.from(Array.from({ length: 600 }, (_, i) => i % 256)))
  if (path === '/latin') return send('text/plain; charset=iso-8859-1', Buffer.from('caf\xe9', 'latin1'))
  if (path === '/missing') return send('text/plain', 'no', {}, 404)
  if (path === '/crash') return send('text/plain', 'no', {}, 503)
  if (path === '/cut') {
    a.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '1000' })
    a.write('only this')
    return void setTimeout(() => a.socket?.destroy(), 50)
  }
  if (path === '/slow') {
    a.writeHead(200, { 'Content-Type': 'text/plain' })
    a.write('first')
    held.push(a)
    return
  }
  if (path === '/events') {
    a.writeHead(200, { 'Content-Type': 'text/event-stream' })
    a.write('event: hello\ndata: {"n":1}\n\n')
    held.push(a)
    return
  }
  return send('text/plain', `you asked for ${q.url}`)
}

before(async () => {
  plain = await origin(serve)
  secure = await tlsOrigin(serve)
  eaves = new Eaves({ SSL_CERT_FILE: secure.trust })
  await eaves.start()
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] })
  ;({ page, errors } = await open(context, eaves.url))
})

after(async () => {
  for (const a of held) a.destroy()
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  await secure?.close()
})

const url = (path: string) => plain.url + path
const idOf = async (path: string): Promise<number> => {
  let id = 0
  await until(async () => {
    const got = await eaves.api<{ exchanges: { id: number; state: string; request: { url: string } }[] }>('/exchanges?limit=50')
    id = got.exchanges.find((x) => x.request.url.endsWith(path))?.id ?? 0
    return id > 0
  }, `${path} to be recorded`)
  return id
}

/** pick opens the exchange of a path, at a tab. */
async function pick(path: string, tab = 'Overview'): Promise<void> {
  await row(page, path).click()
  await page.getByRole('tab', { name: tab }).click()
}

async function text(selector: string): Promise<string> {
  return page.locator(selector).first().innerText()
}

describe('the console', () => {
  test('an empty list says how to begin, and takes the token out of the address', async () => {
    await page.getByText('Waiting for the first request').waitFor()
    assert.equal(new URL(page.url()).search, '')
    const command = await text('.command code')
    assert.equal(command, `curl -x http://${eaves.ready.proxy} --cacert ${eaves.ready.ca} https://example.com/`)
    assert.equal(await page.locator('a[href="http://eaves.test/"]').count(), 1)
    assert.match(await text('.start ol'), /eaves browser/)
  })

  test('exchanges appear as they happen, with what they are', async () => {
    await eaves.get(url('/json?first=1'))
    const r = row(page, '/json?first=1')
    await r.waitFor()
    const cells = await r.getByRole('gridcell').allInnerTexts()
    assert.match(cells[0]!, /200/)
    assert.equal(cells[1], 'GET')
    assert.equal(cells[2], new URL(plain.url).host)
    assert.equal(cells[4], 'json')
    await eaves.get(url('/missing'))
    await eaves.get(url('/crash'))
    await row(page, '/crash').waitFor()
    assert.match(await row(page, '/missing').innerText(), /404/)
    assert.match((await row(page, '/missing').locator('.offscreen').first().textContent())!, /client error/)
    assert.match(await text('.status-line'), /3 exchanges/)
  })

  test('a pending exchange ticks, and ends', async () => {
    const done = eaves.get(url('/slow'))
    const r = row(page, '/slow')
    await r.waitFor()
    await page.locator('.row.open, .row.ok', { hasText: '/slow' }).waitFor()
    const time = r.locator('.c-took')
    const first = await time.innerText()
    await until(async () => (await time.innerText()) !== first, 'the time to move on')
    await r.click()
    await page.getByText('still sending').waitFor()
    held.shift()!.end(' last')
    await done
    await page.getByText('answered 200 OK in').waitFor()
    await page.keyboard.press('Escape')
  })

  test('failures are rows with a cause in words', async () => {
    const dead = await origin(() => {})
    await dead.close()
    await eaves.get(dead.url + '/nobody')
    const r = row(page, '/nobody')
    await r.waitFor()
    assert.match((await r.locator('.c-status').textContent())!, /failed/)
    assert.match(await r.locator('.c-path .cause').innerText(), /refused/)
    await r.click()
    const failure = page.locator('.failure')
    await failure.waitFor()
    assert.match(await failure.innerText(), /refused/)
  })

  test('a client that does not trust the CA is a row with the fix', async () => {
    await eaves.curl('--cacert', secure.trust, '-H', 'X: 1', `${secure.url}/untrusted`)
    const r = page.locator('.row.failed', { hasText: 'localhost' }).last()
    await r.waitFor()
    await r.click()
    await page.getByRole('button', { name: 'Pass localhost through' }).click()
    await page.getByText('localhost is passed through from now on.').waitFor()
    const { rules } = await eaves.api<{ rules: { id: number; filter: string; action: string }[] }>('/rules')
    assert.deepEqual(rules.map((r) => [r.filter, r.action]), [['localhost', 'passthrough']])
    await eaves.api(`/rules/${rules[0]!.id}`, { method: 'DELETE' })
  })

  test('a filter is applied, is in the address, and shows its mistakes at their column', async () => {
    const box = page.getByRole('combobox', { name: 'Filter' })
    await box.fill('status:404')
    await page.locator('.row', { hasText: '/crash' }).waitFor({ state: 'detached' })
    assert.equal(await page.locator('.runway .row').count(), 1)
    await page.waitForURL(/filter=status%3A404/)
    await eaves.get(url('/json?hidden'))
    await eaves.get(url('/missing?second'))
    await row(page, '/missing?second').waitFor()
    assert.equal(await page.locator('.runway .row').count(), 2)

    await box.fill('status:404 nosuchfield:1')
    const problem = page.getByRole('alert')
    await problem.waitFor()
    assert.match(await problem.innerText(), /Column 12: .*nosuchfield/)
    assert.equal(await box.getAttribute('aria-invalid'), 'true')
    const mark = (await page.locator('.squiggle').boundingBox())!
    const at = (await box.boundingBox())!
    // Eleven characters of a fixed width stand before the mistake.
    const wide = mark.width / 'nosuchfield:1'.length
    assert.ok(Math.abs(mark.x - at.x - 6 - 11 * wide) < 3, `the mark is at ${mark.x - at.x}, a character is ${wide} wide`)
    assert.equal(await page.locator('.runway .row').count(), 2, 'the list stays as it was')

    await page.reload()
    await until(async () => (await page.locator('.runway .row').count()) === 2, 'the same view after a reload')
    assert.equal(await box.inputValue(), 'status:404')
    await box.press('Escape')
    await row(page, '/json?hidden').waitFor()
  })

  test('a filter that matches nothing says so', async () => {
    await page.getByRole('combobox', { name: 'Filter' }).fill('path:/not-there-at-all')
    await page.getByText('Nothing matches').waitFor()
    await page.getByRole('button', { name: 'Show all' }).click()
    await row(page, '/json?hidden').waitFor()
  })

  test('the address opens the same exchange at the same tab', async () => {
    await pick('/json?first=1', 'Request')
    await page.waitForURL(/tab=request/)
    const { page: other } = await open(context, page.url())
    await other.getByRole('tab', { name: 'Request', selected: true }).waitFor()
    assert.match(await other.locator('.startline').first().innerText(), /GET \/json\?first=1 HTTP\/1.1/)
    await other.close()
  })

  test('headers are shown as on the wire: order, case and repetition', async () => {
    await pick('/json?first=1', 'Response')
    const names = await page.getByRole('table', { name: 'Response', exact: true }).locator('th').allInnerTexts()
    assert.deepEqual(names.slice(0, 3), ['Content-Type', 'X-Order-B', 'x-order-a'])
    assert.match(await page.locator('.startline').last().innerText(), /HTTP\/1.1 200 OK/)
  })

  test('JSON is laid out, exact, and folds', async () => {
    await pick('/json?first=1', 'Response')
    const code = page.getByRole('region', { name: 'Body of the response' })
    await code.getByText('"12345678901234567890"').waitFor()
    assert.match(await code.innerText(), /"name": "Ünï",/)
    await code.getByRole('button', { name: 'Fold' }).nth(1).click()
    assert.doesNotMatch(await code.innerText(), /"a": \[\]/)
    assert.match(await code.innerText(), /"list": \[\s*… 3 … \]/)
    await page.getByRole('button', { name: 'Text', exact: true }).click()
    await code.getByText('{"id":42,"name"').waitFor()
    await page.getByRole('button', { name: 'Hex', exact: true }).click()
    await page.getByRole('region', { name: 'Body of the response, bytes' }).getByText('7b 22 69 64').waitFor()
  })

  for (const coding of ['gzip', 'br', 'deflate']) {
    test(`${coding} is decoded, and can be seen as transferred`, async () => {
      await eaves.get(url('/' + coding))
      await row(page, '/' + coding).waitFor()
      await pick('/' + coding, 'Response')
      await page.getByRole('region', { name: 'Body of the response' }).getByText('"Ünï"').waitFor()
      await page.getByRole('checkbox', { name: `decode ${coding}` }).uncheck()
      await page.getByRole('region', { name: /Body of the response/ }).getByText('"Ünï"').waitFor({ state: 'detached' })
    })
  }

  test('a body that cannot be decoded says so, and is shown as it came', async () => {
    await eaves.get(url('/badgzip'))
    await pick('/badgzip', 'Response')
    await page.getByRole('button', { name: 'Show it as transferred' }).click()
    await page.getByText('this is not gzip').waitFor()
  })

  test('broken JSON says where it breaks', async () => {
    await eaves.get(url('/brokenjson'))
    await pick('/brokenjson', 'Response')
    await page.getByText('At byte 11 this stops being JSON').waitFor()
  })

  test('XML, HTML, images and bytes have views of their own', async () => {
    for (const path of ['/xml', '/html', '/png', '/bytes', '/latin']) await eaves.get(url(path))
    await row(page, '/latin').waitFor()
    await pick('/xml', 'Response')
    await page.getByText('<name>Tea</name>').waitFor()
    assert.equal(await page.getByRole('button', { name: 'XML' }).getAttribute('aria-pressed'), 'true')
    await pick('/html', 'Response')
    await page.getByRole('region', { name: 'Body of the response' }).getByText('<p class="a">hello</p>').waitFor()
    await pick('/png', 'Response')
    await page.getByText('10 × 10').waitFor()
    await pick('/bytes', 'Response')
    await page.getByText('00 01 02 03').first().waitFor()
    await pick('/latin', 'Response')
    await page.getByText('café').waitFor()
  })

  test('forms and multipart bodies are taken apart', async () => {
    await eaves.get(url('/form'), { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'name=Ada+Lovelace&note=a%26b' })
    const b = 'XX'
    await eaves.get(url('/upload'), {
      method: 'POST', headers: { 'Content-Type': `multipart/form-data; boundary=${b}` },
      body: `--${b}\r\nContent-Disposition: form-data; name="title"\r\n\r\nHello\r\n--${b}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nfile content\r\n--${b}--\r\n`,
    })
    await row(page, '/upload').waitFor()
    await pick('/form', 'Request')
    assert.match(await page.getByRole('table', { name: 'Form fields' }).innerText(), /name\s*Ada Lovelace\s*note\s*a&b/)
    await pick('/upload', 'Request')
    const parts = page.getByRole('region', { name: 'Parts' })
    assert.match(await parts.innerText(), /title[\s\S]*Hello[\s\S]*file · a\.txt[\s\S]*file content/)
  })

  test('a body cut short says so', async () => {
    await eaves.get(url('/cut')).catch(() => 0)
    await page.locator('.row.failed', { hasText: '/cut' }).waitFor()
    await pick('/cut', 'Response')
    await page.getByText('This body is not complete').waitFor()
    await page.getByText('only this').waitFor()
  })

  test('timing adds up', async () => {
    await pick('/json?first=1', 'Timing')
    assert.match(await page.getByRole('table', { name: 'Phases of the exchange' }).innerText(), /Connecting[\s\S]*Waiting for the answer[\s\S]*In all/)
  })

  test('TLS shows what was agreed, and the certificates', async () => {
    assert.match(await eaves.curl(`${secure.url}/json?tls`), /"id":42/)
    await row(page, '/json?tls').waitFor()
    await pick('/json?tls', 'TLS')
    const panel = await text('.tls')
    assert.match(panel, /The certificate was verified/)
    assert.match(panel, /TLS 1\.3/)
    assert.match(panel, /Test origin/)
    assert.match(panel, /With the client/)
    await pick('/json?first=1', 'TLS')
    await page.getByText('did not use TLS').waitFor()
  })

  test('WebSocket messages come live, and can be read whole', async () => {
    const ws = await eaves.socket(url('/ws'))
    ws.send('{"hello":"there"}')
    await row(page, '/ws').waitFor()
    await pick('/ws', 'Messages')
    const list = page.getByRole('region', { name: 'Messages' })
    await list.getByText('{"hello":"there"}').nth(1).waitFor()
    ws.send('second one')
    await list.getByText('second one').nth(1).waitFor()
    assert.match(await list.innerText(), /↑[\s\S]*↓/)
    await list.getByText('{"hello":"there"}').first().click()
    await page.getByRole('region', { name: 'Message 1', exact: true }).getByText('"there"').waitFor()
    ws.close()
  })

  test('server-sent events come live', async () => {
    const done = eaves.get(url('/events')).catch(() => 0)
    await row(page, '/events').waitFor()
    await pick('/events', 'Messages')
    const list = page.getByRole('region', { name: 'Messages' })
    await list.getByText('{"n":1}').waitFor()
    held[0]!.write('data: and another\n\n')
    await list.getByText('and another').waitFor()
    held.shift()!.end()
    await done
  })

  test('replay sends the very same request again and selects the new exchange', async () => {
    await eaves.get(url('/again?x=1'), { method: 'POST', headers: { 'X-Tag': 'Café', 'Content-Type': 'text/plain' }, body: 'payload' })
    const old = await idOf('/again?x=1')
    await pick('/again?x=1')
    const before = seen.length
    await page.getByRole('button', { name: 'Replay', exact: true }).click()
    await until(() => seen.length > before, 'the origin to be asked again')
    const [a, b] = [seen[before - 1]!, seen[before]!]
    assert.deepEqual([b.method, b.url, b.body, b.headers], [a.method, a.url, a.body, a.headers])
    await page.getByText(`a replay of #${old}`).waitFor()
    await page.waitForURL(new RegExp(`id=${await idOf('/again?x=1')}`))
    await page.getByRole('button', { name: `Back to #${old}` }).click()
    await page.getByRole('region', { name: `Exchange ${old}` }).waitFor()
  })

  test('edit and resend changes what is changed, and nothing else', async () => {
    await pick('/again?x=1')
    await page.keyboard.press('e')
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Method').fill('PUT')
    await dialog.getByLabel('URL').fill(url('/edited?y=2'))
    await dialog.getByRole('button', { name: 'As text' }).click()
    const headers = dialog.getByLabel('Headers, one a line')
    await headers.fill((await headers.inputValue()).replace(/X-Tag: .*/, 'X-Tag: new\nX-More: too'))
    await dialog.getByLabel('Body').fill('another payload')
    const before = seen.length
    await dialog.getByRole('button', { name: 'Send' }).click()
    await until(() => seen.length > before, 'the origin to be asked')
    const got = seen[before]!
    assert.deepEqual([got.method, got.url, got.body], ['PUT', '/edited?y=2', 'another payload'])
    assert.equal(got.headers[got.headers.indexOf('X-More') + 1], 'too')
    assert.equal(got.headers[got.headers.indexOf('Content-Length') + 1], '15')
    await row(page, '/edited?y=2').waitFor()
    await dialog.waitFor({ state: 'detached' })
  })

  test('what cannot be sent is refused where it was typed', async () => {
    await page.keyboard.press('n')
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('URL').fill('ftp://x/')
    await dialog.getByRole('button', { name: 'Send' }).click()
    assert.match(await dialog.getByRole('alert').innerText(), /http/)
    await dialog.getByLabel('URL').fill(url('/composed'))
    await dialog.getByLabel('URL').press('Control+Enter')
    await row(page, '/composed').waitFor()
    assert.match(await row(page, '/composed').innerText(), /composed/)
  })

  test('keys do what the help says', async () => {
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByRole('dialog').getByText('copy as curl').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const grid = page.getByRole('grid')
    const focused = (id: string) => until(() => page.evaluate((want) => document.activeElement?.id === want, id), `${id} to have the focus`)
    await page.keyboard.press('/')
    await focused('filter')
    await page.getByRole('listbox', { name: 'Completions' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('ArrowDown')
    await focused('exchanges')
    await page.keyboard.press('End')
    let last: string | null = null
    await until(async () => /^row-\d+$/.test((last = await grid.getAttribute('aria-activedescendant')) ?? ''), 'the newest to be selected')
    await page.keyboard.press('k')
    await until(async () => (await grid.getAttribute('aria-activedescendant')) !== last, 'the selection to move')
    await page.keyboard.press('j')
    await until(async () => (await grid.getAttribute('aria-activedescendant')) === last, 'the selection to move back')
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('m')
    const marked = await page.locator('.row.selected').getAttribute('data-id')
    await page.locator(`#row-${marked} .mark`).waitFor()
    await page.keyboard.press('c')
    await page.getByText('Copied as curl').waitFor()
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl '?http:\/\/127\.0\.0\.1/)
    await page.keyboard.press('Enter')
    await until(async () => (await page.evaluate(() => document.activeElement?.getAttribute('role'))) === 'tab', 'the tabs to have focus')
    await page.keyboard.press('ArrowRight')
    await page.getByRole('tab', { name: 'Request', selected: true }).waitFor()
    await page.keyboard.press('Escape')
    await focused('exchanges')
    await page.keyboard.press('Escape')
    await page.locator('.detail').waitFor({ state: 'detached' })
  })

  test('delete can be taken back, and then not any more', async () => {
    await eaves.get(url('/goner'))
    await row(page, '/goner').waitFor()
    const id = await idOf('/goner')
    await page.locator(`#row-${id}`).click()
    await page.keyboard.press('x')
    await page.locator(`#row-${id}.leaving`).waitFor()
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.locator(`#row-${id}.selected:not(.leaving)`).waitFor()
    await page.keyboard.press('x')
    await page.locator(`#row-${id}`).waitFor({ state: 'detached' })
    await assert.rejects(eaves.api(`/exchanges/${id}`), /404/)
  })

  test('recording is switched off and on', async () => {
    const button = page.getByRole('switch')
    await button.click()
    await page.locator('.record', { hasText: 'Paused' }).waitFor()
    assert.deepEqual(await eaves.api('/recording'), { recording: false })
    await button.click()
    await page.locator('.record', { hasText: 'Recording' }).waitFor()
  })

  test('rules are added, switched and removed', async () => {
    await page.getByRole('button', { name: 'Rules' }).click()
    await page.getByText('There are no rules').waitFor()
    await page.getByLabel('Requests that match').fill('status:200')
    await page.getByRole('button', { name: 'Add rule' }).click()
    await page.getByRole('alert').waitFor() // a rule knows the request only
    await page.getByLabel('Requests that match').fill('path:/ignored')
    await page.getByRole('button', { name: 'Add rule' }).click()
    await page.locator('.rules li').waitFor()
    await page.locator('.rules input').uncheck()
    await until(async () => (await eaves.api<{ rules: { enabled: boolean }[] }>('/rules')).rules[0]?.enabled === false, 'the rule to be off')
    await page.getByRole('button', { name: /Remove the rule/ }).click()
    await page.getByText('There are no rules').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('grid').waitFor()
  })

  test('nothing in all this raised an error or met the content security policy', () => {
    assert.deepEqual(errors, [])
  })
})
