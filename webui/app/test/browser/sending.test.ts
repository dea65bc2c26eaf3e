// Messages, composing, replays, the matrix and comparisons, against the real eaves.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer as createTLSServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import type { Browser, Page } from 'playwright-core'
import { check, schemes, sizes } from '../look.ts'
import { browser, certificate, Eaves, free, open, origin, row, until, type Origin, type WebSocketClient } from '../real.ts'

let eaves: Eaves
let plain: Origin
let chrome: Browser
let page: Page
let errors: string[]
let secure: string
let stop: () => void
let socket: WebSocketClient
const seen: { method: string; url: string; body: string; headers: string[] }[] = []
let answer = 0

const url = (path: string) => plain.url + path
const dialog = () => page.getByRole('dialog')
const id = async (text: string) => Number(await row(page, text).getAttribute('data-id'))
const pick = async (text: string, tab: string) => {
  await row(page, text).click()
  await page.getByRole('tab', { name: tab }).click()
}

before(async () => {
  plain = await origin((q, a) => {
    let body = ''
    q.on('data', (b) => (body += b))
    q.on('end', () => {
      seen.push({ method: q.method!, url: q.url!, body, headers: q.rawHeaders })
      if (q.url!.startsWith('/events')) {
        a.writeHead(200, { 'Content-Type': 'text/event-stream' })
        a.end(Array.from({ length: 400 }, (_, i) => `event: tick\nid: ${i}\ndata: {"n":${i},"price":${i % 50 === 7 ? '"needle"' : i}}\n\n`).join(''))
        return
      }
      if (q.url === '/many') {
        a.writeHead(200, { 'Content-Type': 'text/event-stream' })
        a.end(Array.from({ length: 100_000 }, (_, i) => `data: ${i === 98_765 ? 'the needle' : `message ${i + 1}`}\n\n`).join(''))
        return
      }
      if (q.url === '/pb.Greeter/Greet') {
        a.writeHead(200, { 'Content-Type': 'application/grpc' })
        a.end(Buffer.from([0, 0, 0, 0, 9, 0x0a, 5, ...Buffer.from('hello'), 0x10, 42]))
        return
      }
      answer++
      a.writeHead(q.url!.startsWith('/teapot') ? 418 : 200, { 'Content-Type': 'application/json', 'X-Request-Id': `${answer}4f9c8a7b6c5d4e3f` })
      a.end(JSON.stringify({ at: new Date(1.7e12 + answer * 1e7).toISOString(), who: q.headers['x-who'] ?? 'nobody', list: q.headers['x-who'] ? [1, 2, 3, 4] : [1, 3, 4] }))
    })
  })
  const server = certificate(['localhost'], 'Server')
  const client = certificate(['client.test'], 'Client')
  const tls = createTLSServer({ key: readFileSync(server.key), cert: readFileSync(server.cert), requestCert: true, rejectUnauthorized: false }, (q, a) => {
    const named = (q.socket as TLSSocket).getPeerCertificate().subject?.CN
    a.writeHead(named ? 200 : 403, { 'Content-Type': 'text/plain' })
    a.end(named ? `hello ${named}, welcome back` : 'who are you?')
  })
  await new Promise<void>((done) => tls.listen(0, '127.0.0.1', done))
  stop = () => { tls.closeAllConnections(); tls.close() }
  secure = `https://localhost:${(tls.address() as AddressInfo).port}`
  eaves = new Eaves({ SSL_CERT_FILE: server.cert })
  await eaves.start()
  await eaves.api('/client-certificates', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ host: 'localhost:*', name: 'Ada', certificateFile: client.cert, keyFile: client.key }) })
  await eaves.get(url('/first?a=1&b=two%20words'), { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Tag': 'old' }, body: '{"n":12345678901234567890}' })
  await eaves.get(url('/second'), { headers: { 'X-Who': 'Ada' } })
  await eaves.get(url('/events'))
  await eaves.get(url('/many'))
  await eaves.get(url('/pb.Greeter/Greet'), { method: 'POST', headers: { 'Content-Type': 'application/grpc' }, body: Buffer.from([0, 0, 0, 0, 2, 8, 7]) })
  await eaves.curl(`${secure}/account`)
  socket = await eaves.socket(url('/chat'))
  socket.send('{"hello":"there"}')
  chrome = await browser()
  ;({ page, errors } = await open(chrome, eaves.url))
  await row(page, '/chat').waitFor()
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  stop?.()
  assert.deepEqual(errors, [])
})

describe('messages', () => {
  test('a message is put into an open WebSocket, in either direction, and stands among the others', async () => {
    await pick('/chat', 'Messages')
    await page.getByRole('button', { name: /received.*\{"hello":"there"\}/ }).waitFor()
    const say = page.getByRole('form', { name: 'Say something in this conversation' })
    await say.getByLabel('Message').fill('from the console')
    await say.getByRole('button', { name: 'Send' }).click()
    // The origin has it, since it echoes it.
    await page.getByRole('button', { name: /sent.*text.*put in.*from the console/ }).waitFor()
    await page.getByRole('button', { name: /received.*from the console/ }).waitFor()
    await say.getByLabel('To', { exact: true }).selectOption('received')
    await say.getByLabel('Kind').selectOption('binary')
    await say.getByLabel('Message').fill('zz')
    await page.keyboard.press('Control+Enter')
    assert.match(await say.getByRole('alert').innerText(), /hexadecimal/)
    await say.getByLabel('Message').fill('00 ff 2a')
    await page.keyboard.press('Control+Enter')
    await page.getByRole('button', { name: /received.*binary.*put in.*00 ff 2a/ }).waitFor()
    await say.getByRole('alert').waitFor({ state: 'detached' })
  })

  test('one is looked at laid out, as text and as bytes, and said again', async () => {
    await page.getByRole('button', { name: /sent.*\{"hello":"there"\}/ }).first().click()
    const one = page.getByRole('region', { name: 'Message 1 in full' })
    await one.getByText('"there"').waitFor()
    assert.equal(await one.getByRole('button', { name: 'Pretty' }).getAttribute('aria-pressed'), 'true')
    await one.getByRole('button', { name: 'Hex' }).click()
    await one.getByText('7b 22 68 65').waitFor()
    await one.getByRole('button', { name: 'Say again …' }).click()
    await until(async () => (await page.getByLabel('Message', { exact: true }).inputValue()) === '{"hello":"there"}', 'the form to be filled')
    await one.getByRole('button', { name: 'Close' }).click()
  })

  test('a conversation that has ended is replayed: what the client said is said again', async () => {
    socket.send('second')
    await page.getByRole('button', { name: /received.*second/ }).waitFor()
    const was = await id('/chat')
    socket.close()
    await page.getByRole('button', { name: 'Replay conversation' }).click()
    await page.getByText(`Sent again as #`).first().waitFor()
    await until(async () => !page.url().includes(`id=${was}&`), 'the replay to be shown')
    await page.getByRole('button', { name: /sent.*\{"hello":"there"\}/ }).waitFor()
    await page.getByRole('button', { name: /sent.*from the console/ }).waitFor()
    await page.getByRole('button', { name: /received.*second/ }).waitFor()
  })

  test('many are searched on the server, and events shown by their fields', async () => {
    await pick('/events', 'Messages')
    await page.getByText('400 messages').waitFor()
    await page.getByRole('searchbox', { name: 'Search the messages' }).fill('NEEDLE')
    await page.getByText('8 of 400').waitFor()
    assert.equal(await page.locator('.message-list .message').count(), 8)
    await page.locator('.message-list .message').nth(1).click()
    const one = page.getByRole('region', { name: 'Message 58 in full' })
    assert.match((await one.locator('.event-fields').innerText()).replace(/\s+/g, ' '), /event tick id 57/)
    await one.getByText('"needle"').waitFor()
    await page.getByLabel('Direction').selectOption('sent')
    await page.getByText('0 of 400').waitFor()
    await page.getByLabel('Direction').selectOption('')
    await page.getByRole('searchbox').press('Escape')
    await page.getByText('400 messages').waitFor()
    assert.ok(await page.locator('.message-list .message').count() < 60, 'only what is on the screen exists')
  })
})

test('of a hundred thousand, only those near the screen are held; one is found anywhere', async () => {
  await pick('/many', 'Messages')
  await page.getByText('100,000 messages').waitFor()
  const list = page.getByRole('region', { name: 'Messages', exact: true })
  await list.evaluate((el) => (el.scrollTop = el.scrollHeight))
  await list.getByText('message 100000').waitFor()
  await list.evaluate((el) => (el.scrollTop = el.scrollHeight / 2))
  await until(async () => /message (4\d|5\d)\d{3}\b/.test(await list.innerText()), 'the middle')
  assert.ok(await list.locator('.message').count() < 60)
  await page.getByRole('searchbox', { name: 'Search the messages' }).fill('NEEDLE')
  await page.getByText('1 of 100,000').waitFor()
  await list.getByText('the needle').waitFor()
})

test('gRPC messages show their fields', async () => {
  await pick('/pb.Greeter', 'Messages')
  await page.getByRole('button', { name: /received.*grpc/ }).click()
  const one = page.getByRole('region', { name: 'Message 2 in full' })
  await one.getByText('"hello"').waitFor()
  await one.getByText('42', { exact: true }).waitFor()
  await one.getByRole('button', { name: 'Hex' }).click()
  await one.getByText('0a 05 68').waitFor()
})

describe('composing', () => {
  test('parameters and address keep in step; headers are moved, completed, switched off', async () => {
    await row(page, '/first').click()
    await page.keyboard.press('e')
    await dialog().getByLabel('Name of parameter b').waitFor()
    assert.equal(await dialog().getByLabel('Value of parameter b').inputValue(), 'two words')
    await dialog().getByLabel('Value of parameter a').fill('1&2')
    assert.match(await dialog().getByLabel('URL').inputValue(), /\?a=1%262&b=two%20words$/)
    await dialog().getByRole('button', { name: 'Move parameter b up' }).click()
    await dialog().getByRole('button', { name: 'Add a parameter' }).click()
    await dialog().getByLabel('Name of parameter name3').fill('c')
    assert.match(await dialog().getByLabel('URL').inputValue(), /\?b=two%20words&a=1%262&c=$/)
    const list = await dialog().getByLabel('Name of X-Tag').getAttribute('list')
    const offered = (name: string) => page.locator(`[id="${list}"] option`).evaluateAll((all, n) => all.some((o) => (o as HTMLOptionElement).value.toLowerCase() === n), name)
    assert.ok(await offered('authorization'), 'usual names are offered')
    await until(() => offered('x-who'), 'names that were seen elsewhere to be offered')
    await dialog().getByLabel('Value of X-Tag').fill('new')
    await dialog().getByRole('button', { name: 'Move X-Tag up' }).click()
    await dialog().getByRole('button', { name: 'Add a header' }).click()
    await dialog().getByLabel(/^Name of field/).fill('X-More')
    await dialog().getByLabel('Value of X-More').fill('yes')
    await dialog().getByLabel('Send X-More').uncheck()
    const before = seen.length
    await dialog().getByLabel('URL').press('Control+Enter')
    await until(() => seen.length > before, 'the origin to be asked')
    const got = seen[before]!
    assert.equal(got.url, '/first?b=two%20words&a=1%262&c=')
    assert.equal(got.headers[got.headers.indexOf('X-Tag') + 1], 'new')
    assert.ok(got.headers.indexOf('X-Tag') < got.headers.indexOf('Content-Type'), got.headers.join())
    assert.ok(!got.headers.includes('X-More'))
    assert.equal(got.body, '{"n":12345678901234567890}')
    await dialog().waitFor({ state: 'detached' })
  })

  test('the body is edited in an editor that shows and checks its syntax, under the strict policy', async () => {
    await row(page, '/first').click()
    await page.keyboard.press('e')
    const body = dialog().getByRole('textbox', { name: 'Body' })
    await dialog().locator('.cm-editor').waitFor()
    assert.equal(await body.innerText(), '{"n":12345678901234567890}')
    // Styles arrived: a gutter beside the text, colours for the syntax.
    const looks = () => dialog().locator('.editor-host').evaluate((host) => {
      const root = host.shadowRoot!
      const plain = getComputedStyle(root.querySelector('.cm-content')!).color
      return {
        sheets: root.adoptedStyleSheets.length, tags: root.querySelectorAll('style').length + document.querySelectorAll('style').length,
        coloured: [...root.querySelectorAll('.cm-line span')].some((s) => getComputedStyle(s).color !== plain), flex: getComputedStyle(root.querySelector('.cm-scroller')!).display,
      }
    })
    await until(async () => (await looks()).coloured, 'the syntax to be coloured')
    const { sheets, tags, flex } = await looks()
    assert.ok(sheets > 0 && tags === 0 && flex === 'flex', `${sheets} sheets, ${tags} style elements, ${flex}`)
    const write = async (text: string) => {
      await body.press('Control+a')
      await page.keyboard.insertText(text)
    }
    await write('{"n": 1,\n "m" 2}')
    await dialog().getByText(/Line 2, column \d+: .*JSON/).waitFor()
    await write('{"n":12345678901234567890,"m":[1,2]}')
    await dialog().getByText(/Line 2, column/).waitFor({ state: 'detached' })
    await dialog().getByRole('button', { name: 'Lay out' }).click()
    await until(async () => /"n": 12345678901234567890,\s+"m"/.test(await body.innerText()), 'the body to be laid out')
    // Tab leaves the editor.
    await body.focus()
    await page.keyboard.press('Tab')
    assert.ok(!(await page.evaluate(() => document.activeElement?.classList.contains('editor-host'))), 'the focus stays in the editor')
    const before = seen.length
    await dialog().getByRole('button', { name: 'Send' }).click()
    await until(() => seen.length > before, 'the origin to be asked')
    assert.match(seen[before]!.body, /"n": 12345678901234567890/)
    await dialog().waitFor({ state: 'detached' })
  })

  test('what was changed is not lost by a slip of the Esc key', async () => {
    await row(page, '/first').click()
    await page.keyboard.press('e')
    await dialog().locator('.cm-editor').waitFor()
    await page.keyboard.press('Escape')
    await dialog().waitFor({ state: 'detached' })
    await page.keyboard.press('e')
    await dialog().locator('.cm-editor').waitFor()
    await dialog().getByLabel('URL').fill(url('/changed'))
    await page.keyboard.press('Escape')
    await page.getByRole('dialog', { name: 'Are you sure?' }).getByRole('button', { name: 'Cancel' }).click()
    assert.equal(await dialog().getByLabel('URL').inputValue(), url('/changed'))
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('dialog', { name: 'Are you sure?' }).getByRole('button', { name: 'Close it' }).click()
    await dialog().waitFor({ state: 'detached' })
  })

  test('a curl command is taken apart', async () => {
    await page.keyboard.press('n')
    await dialog().getByRole('button', { name: 'here' }).click()
    await dialog().getByLabel('A curl command').fill(`curl -k '${url('/pasted?x=1')}' -H 'X-From: curl' --json '{"a": 1}'`)
    await dialog().getByRole('button', { name: 'Take it' }).click()
    assert.equal(await dialog().getByLabel('Method').inputValue(), 'POST')
    assert.equal(await dialog().getByLabel('Value of X-From').inputValue(), 'curl')
    assert.equal(await dialog().getByLabel('Origin’s certificate').inputValue(), 'off')
    const before = seen.length
    await dialog().getByRole('button', { name: 'Send' }).click()
    await until(() => seen.length > before, 'the origin to be asked')
    assert.deepEqual([seen[before]!.method, seen[before]!.url, seen[before]!.body], ['POST', '/pasted?x=1', '{"a": 1}'])
    await dialog().waitFor({ state: 'detached' })
  })

  test('many are sent, with their progress, and shown', async () => {
    await row(page, '/second').click()
    await page.keyboard.press('R')
    await dialog().getByLabel('Times').fill('25')
    await dialog().getByLabel('At once').fill('5')
    const before = seen.length
    await dialog().getByRole('button', { name: 'Replay' }).click()
    const batches = page.getByRole('region', { name: 'Requests that are sent several times' })
    await batches.getByText('25 × 200').waitFor()
    await until(() => seen.length === before + 25, 'all to be sent')
    await batches.getByRole('button', { name: 'Show them' }).click()
    await until(async () => (await page.locator('.status-line').innerText()).includes('25 of'), 'them to be listed')
    await batches.getByRole('button', { name: 'Dismiss' }).click()
    await page.locator('#filter').fill('')
    await page.keyboard.press('Enter')
    await row(page, '/second').waitFor()
  })
})

describe('replays', () => {
  test('attempts stand below their original, with what is otherwise', async () => {
    await page.locator('#filter').fill('path:/second is:replay or path:/first or path:/second or path:/teapot')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Escape')
    const first = (await eaves.api<{ exchanges: { id: number }[] }>('/exchanges?filter=path%3A%2Fsecond%20not%20is%3Areplay')).exchanges[0]!.id
    await page.evaluate((n) => { location.hash = `#/?id=${n}&tab=replays` }, first)
    const table = page.getByRole('table', { name: `Exchange ${first} and its replays` })
    await table.waitFor()
    await until(async () => (await table.getByRole('row').count()) === 27, 'all replays')
    await until(async () => (await table.getByText('same answer').count()) === 25, 'them to be compared')
    await page.keyboard.press('e')
    await dialog().getByLabel('URL').fill(url('/teapot'))
    await dialog().getByRole('button', { name: 'Send' }).click()
    await dialog().waitFor({ state: 'detached' })
    await page.getByRole('tab', { name: 'Replays' }).click()
    await page.getByText(/status 200 → 418/).waitFor()
  })

  test('d compares with the marked one: JSON by its structure, noise set aside', async () => {
    await page.locator('#filter').fill('path:/first or path:/second')
    await page.keyboard.press('Enter')
    await row(page, '/first').waitFor()
    await page.locator('.runway .row', { hasText: '/second' }).first().click()
    await page.keyboard.press('Escape')
    const all = (await eaves.api<{ exchanges: { id: number; request: { url: string } }[] }>('/exchanges?limit=5000&filter=not%20is%3Areplay')).exchanges
    const [a, b] = ['/first', '/second'].map((p) => all.find((x) => x.request.url.includes(p))!.id) as [number, number]
    await page.evaluate((n) => { location.hash = `#/?id=${n}` }, a)
    await page.getByRole('region', { name: `Exchange ${a}` }).waitFor()
    await page.keyboard.press('m')
    await page.getByRole('button', { name: 'Marked' }).waitFor()
    await page.evaluate((n) => { location.hash = `#/?id=${n}` }, b)
    await page.getByRole('region', { name: `Exchange ${b}` }).waitFor()
    await page.keyboard.press('d')
    const table = dialog().getByRole('table')
    await table.getByText('list[1]').waitFor()
    const text = (await table.innerText()).replace(/\s+/g, ' ')
    assert.match(text, /who\s*"nobody"\s*"Ada"/)
    assert.match(text, /list\[1\] nothing 2/)
    assert.doesNotMatch(text, /X-Request-Id/)
    await dialog().getByLabel(/show those, too/).check()
    await table.getByText('X-Request-Id').waitFor()
    await dialog().getByLabel(/show those, too/).uncheck()
    await table.getByText('X-Request-Id').waitFor({ state: 'detached' })
    await dialog().getByLabel('ids', { exact: true }).uncheck()
    await dialog().getByLabel('random tokens').uncheck()
    await table.getByText('X-Request-Id').waitFor()
    await dialog().getByRole('button', { name: 'Swap sides' }).click()
    await dialog().getByRole('heading', { name: `#${b} and #${a} side by side` }).waitFor()
    await dialog().getByLabel(`Compare #${b} with #`).fill(String(b))
    await dialog().getByRole('button', { name: 'Compare' }).click()
    await dialog().getByText('Nothing that counts differs.').waitFor()
    await dialog().getByRole('button', { name: 'Close' }).last().click()
    await page.locator('#filter').fill('path:/account')
    await page.keyboard.press('Enter')
    await row(page, '/account').waitFor()
  })

  test('the matrix sends as each, on each way, and marks what is otherwise', async () => {
    const dead = `http://127.0.0.1:${await free()}`
    await row(page, '/account').click()
    await page.keyboard.press('X')
    await dialog().getByLabel('Ada (localhost:*)').waitFor()
    await dialog().getByLabel('Another proxy').fill('proxy')
    await dialog().getByRole('button', { name: 'Add' }).click()
    await dialog().getByText(/Begin with what the proxy speaks/).waitFor()
    await dialog().getByLabel('Another proxy').fill(dead)
    await dialog().getByRole('button', { name: 'Add' }).click()
    await dialog().getByRole('button', { name: 'Send 9' }).click()
    await dialog().getByText('9 of 9 answered').waitFor()
    const table = dialog().getByRole('table')
    const line = (name: string) => table.getByRole('row', { name: new RegExp(`^${name}`) })
    assert.match(await line('no certificate').getByRole('cell').first().innerText(), /403[\s\S]*asked for, none sent/)
    assert.match(await line('Ada').getByRole('cell').first().innerText(), /200[\s\S]*client\.test: accepted/)
    assert.match(await line('Ada').getByRole('cell').nth(2).innerText(), /failed/)
    assert.ok(await line('no certificate').getByText('differs:').count() > 2, 'differences are marked')
    assert.equal(await table.getByText('the reference').count(), 1)
    await line('no certificate').getByRole('cell').first().getByRole('button', { name: 'Make reference' }).click()
    assert.match(await line('no certificate').getByRole('cell').first().innerText(), /the reference/)
    await line('Ada').getByRole('cell').first().getByRole('button', { name: 'Diff' }).click()
    await dialog().last().getByText('hello client.test, welcome back').waitFor()
    await dialog().last().getByRole('button', { name: 'Close' }).last().click()
    const link = line('Ada').getByRole('cell').first().getByRole('button', { name: /^#\d+$/ })
    const n = (await link.innerText()).slice(1)
    await link.click()
    await page.getByRole('region', { name: `Exchange ${n}` }).waitFor()
  })
})

for (const [size, colorScheme] of [[sizes[0], schemes[0]], [sizes[0], schemes[1]], [sizes[1], schemes[0]]] as const) {
  test(`looks, ${size.name}, ${colorScheme}`, async () => {
    const look = await open(chrome, eaves.url, { ...size, colorScheme })
    const p = look.page
    const name = (part: string) => `sending-${part}-${size.name}-${colorScheme}`
    const go = async (filter: string, tab: string) => {
      let found = 0
      await until(async () => (found = (await eaves.api<{ exchanges: { id: number }[] }>(`/exchanges?limit=1&after=0&filter=${encodeURIComponent(filter)}`)).exchanges[0]?.id ?? 0) > 0, `${filter} to be recorded`)
      await p.evaluate(([n, t]) => { location.hash = `#/?id=${n}&tab=${t}` }, [found, tab] as const)
      return found
    }
    const live = await eaves.socket(url(`/live-${size.name}-${colorScheme}`))
    live.send('{"subscribe":"prices"}')
    await go(`path:/live-${size.name}-${colorScheme}`, 'messages')
    await p.getByRole('button', { name: /received.*prices/ }).click()
    await p.getByRole('region', { name: 'Message 2 in full' }).getByText('"prices"').waitFor()
    await check(p, name('messages'))
    live.close()
    const first = await go('path:/second', 'replays')
    await p.getByText('same answer').first().waitFor()
    await check(p, name('replays'))
    await p.getByRole('button', { name: `Diff #${first} and` }).last().click()
    await p.getByRole('dialog').getByText(/418/).first().waitFor()
    await check(p, name('compare'))
    await p.keyboard.press('Escape')
    await p.getByRole('dialog').waitFor({ state: 'detached' })
    await go('path:/first', 'overview')
    await p.getByRole('heading', { name: /\/first/ }).waitFor()
    await p.keyboard.press('e')
    await p.getByRole('dialog').locator('.cm-editor').waitFor()
    await check(p, name('compose'))
    await p.keyboard.press('Escape')
    await p.getByRole('dialog').waitFor({ state: 'detached' })
    await go('path:/account', 'overview')
    await p.getByRole('heading', { name: /\/account/ }).waitFor()
    await p.keyboard.press('X')
    await p.getByRole('dialog').getByLabel('Ada (localhost:*)').waitFor()
    await p.getByRole('dialog').getByRole('button', { name: /^Send \d/ }).click()
    await p.getByRole('dialog').getByText('6 of 6 answered').waitFor()
    await check(p, name('matrix'))
    assert.deepEqual(look.errors, [])
    await p.close()
  })
}
