// The list and its pictures in front of the real eaves: columns, sources, the timeline, totals, the waterfall of a page, orders
// other than that of arrival, what helps with failures, and fast traffic while somebody reads.

import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { check, schemes, sizes } from '../look.ts'
import { browser, Eaves, free, open, origin, row, tlsOrigin, until, type Origin } from '../real.ts'

let chrome: Browser
let eaves: Eaves
let plain: Origin
let secure: Origin & { trust: string }
let nobody: number
let context: BrowserContext
let page: Page
let errors: string[]

const image = Buffer.from('R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==', 'base64')

before(async () => {
  plain = await origin((q, a) => {
    q.resume()
    const path = (q.url ?? '').split('?')[0]!
    const say = (type: string, body: string | Buffer, status = 200, wait = 0) => setTimeout(() => a.writeHead(status, { 'Content-Type': type }).end(body), wait)
    if (path === '/page') say('text/html', '<!doctype html><title>Shop</title><link rel="stylesheet" href="/style.css"><script src="/app.js"></script><img src="/gone.png"><img src="/logo.gif">', 200, 30)
    else if (path === '/style.css') say('text/css', 'body { background: url(/back.gif) }', 200, 40)
    else if (path === '/app.js') say('text/javascript', `fetch('/api/basket'); fetch('http://127.0.0.1:${nobody}/stock').catch(() => {})`, 200, 60)
    else if (path === '/api/basket') say('application/json', '{"items":[]}', 200, 80)
    else if (path.endsWith('.gif')) say('image/gif', image)
    else if (path === '/slow') say('text/plain', 'slow', 200, 400)
    else if (path === '/large') say('text/plain', 'x'.repeat(200_000))
    else if (path.startsWith('/items/')) say('application/json', '{"ok":true}')
    else if (path.startsWith('/fast/')) a.end('ok')
    else say('text/plain', 'no', 404)
  })
  secure = await tlsOrigin((q, a) => { q.resume(); a.end('secret') })
  nobody = await free()
  eaves = new Eaves({ SSL_CERT_FILE: '/dev/null' })
  await eaves.start()
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
  // A browser of its own goes through eaves to the page.
  const through = await chrome.newContext({ proxy: { server: `http://${eaves.ready.proxy}`, bypass: '<-loopback>' } })
  const reader = await through.newPage()
  await reader.goto(`${plain.url}/page`, { waitUntil: 'networkidle' })
  await through.close()
  for (let i = 0; i < 8; i++) await eaves.get(`${plain.url}/items/${i}?page=${i}`)
  for (const path of ['/slow', '/large', '/missing/a', '/missing/b']) await eaves.get(plain.url + path)
  await eaves.curl(`${secure.url}/x`)
  await eaves.curl(`http://127.0.0.1:${nobody}/refused`)
  ;({ page, errors } = await open(context, eaves.url))
  await row(page, '/refused').waitFor()
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  await secure?.close()
})

/** fresh opens the console anew, with nothing filtered or chosen. */
async function fresh(): Promise<void> {
  await page.goto('about:blank')
  await page.goto(eaves.url)
  await row(page, '/refused').waitFor()
}

const heads = async () => (await page.locator('.head [role=columnheader]').evaluateAll((all) => all.map((h) => (h as HTMLElement).dataset.column)))
const filter = () => page.locator('#filter').inputValue()
const paths = () => page.locator('.runway .row .path').allInnerTexts()
const escape = async () => { await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur()); await page.keyboard.press('Escape') }

describe('columns', () => {
  before(fresh)

  test('are chosen, ordered and resized by keyboard, and remembered', async () => {
    assert.deepEqual((await heads()).slice(0, 4), ['status', 'method', 'host', 'path'])
    assert.ok((await heads()).includes('route'))
    await page.keyboard.press('v')
    const dialog = page.getByRole('dialog', { name: 'Columns' })
    await dialog.getByRole('checkbox', { name: 'Number' }).focus()
    await page.keyboard.press('Space')
    for (let i = 0; i < 11; i++) await page.keyboard.press('Alt+ArrowUp')
    await dialog.getByRole('checkbox', { name: 'Method' }).focus()
    await page.keyboard.press('Space')
    await dialog.getByRole('checkbox', { name: 'Host' }).focus()
    const before = (await page.locator('.head .c-host').boundingBox())!.width
    for (let i = 0; i < 4; i++) await page.keyboard.press('Alt+ArrowRight')
    await dialog.getByRole('button', { name: /back to the usual width of Host/ }).waitFor()
    await page.keyboard.press('Escape')
    await until(async () => (await heads())[0] === 'id' && !(await heads()).includes('method'), 'the columns to be as chosen')
    const width = (await page.locator('.head .c-host').boundingBox())!.width
    assert.ok(width > before + 50, `${before} → ${width}`)
    await page.reload()
    await row(page, '/refused').waitFor()
    assert.deepEqual((await heads()).slice(0, 3), ['id', 'status', 'host'])
    assert.ok(Math.abs((await page.locator('.head .c-host').boundingBox())!.width - width) < 2)
    assert.match(await row(page, '/refused').innerText(), /#\d+/)
  })

  test('a border is dragged, a double click gives the usual width back', async () => {
    const head = page.locator('.head .c-size')
    const b = (await head.boundingBox())!
    await page.mouse.move(b.x + b.width - 3, b.y + 10)
    await page.mouse.down()
    await page.mouse.move(b.x + b.width + 57, b.y + 10, { steps: 4 })
    await page.mouse.up()
    await until(async () => Math.abs((await head.boundingBox())!.width - b.width - 60) < 3, 'the column to follow')
    await head.locator('.border').dblclick()
    await until(async () => Math.abs((await head.boundingBox())!.width - b.width) < 3, 'its usual width')
    await page.keyboard.press('v')
    await page.getByRole('button', { name: 'As at first' }).click()
    await page.getByRole('button', { name: 'Done' }).click()
    await until(async () => (await heads())[0] === 'status', 'the columns as at first')
  })

  test('a browser that keeps nothing shows them all the same', async () => {
    const forgetful = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
    await forgetful.addInitScript(() => { Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused') } }) })
    const other = await open(forgetful, eaves.url)
    await row(other.page, '/refused').waitFor()
    await other.page.keyboard.press('g')
    await other.page.getByRole('tree', { name: 'Hosts' }).waitFor()
    assert.deepEqual(other.errors, [])
    await forgetful.close()
  })

  test('a list is sorted by one, and steps follow that order', async () => {
    await page.getByRole('columnheader', { name: /^Size/ }).getByRole('button').click()
    await until(async () => (await paths())[0] === '/large', 'the largest to be first')
    await page.locator('#exchanges').focus()
    await page.keyboard.press('Home')
    await page.locator('.row.selected', { hasText: '/large' }).waitFor()
    await page.keyboard.press('j')
    await page.locator('.row.selected').filter({ hasNotText: '/large' }).waitFor()
    await eaves.get(`${plain.url}/items/later`)
    await page.getByRole('button', { name: /Sort anew: 1 new/ }).click()
    await row(page, '/items/later').waitFor()
    await escape()
    await page.getByRole('columnheader', { name: /^Time/ }).getByRole('button').click()
    await until(async () => (await paths())[0] === '/slow', 'the slowest to be first')
    assert.equal(await page.getByRole('columnheader', { name: /^Time/ }).getAttribute('aria-sort'), 'descending')
    await page.getByRole('button', { name: /^By time/ }).click()
    await until(async () => (await paths()).at(-1) === '/items/later', 'the order in which they came')
  })
})

describe('sources', () => {
  before(fresh)

  test('hosts with their paths, and what they come to; choosing narrows the list', async () => {
    await page.keyboard.press('g')
    const tree = page.getByRole('tree', { name: 'Hosts' })
    const host = tree.getByRole('treeitem', { name: /^127\.0\.0\.1 \d+ exchanges .* 2 failed \d errors answered/ })
    await host.waitFor()
    await tree.getByRole('treeitem', { name: /^localhost \d exchanges? .* failed/ }).waitFor()
    await host.focus()
    await page.keyboard.press('ArrowRight')
    const items = tree.getByRole('treeitem', { name: /^\/items\/ 9 exchanges/ })
    await items.waitFor()
    await page.keyboard.press('ArrowDown')
    await items.click()
    await until(async () => (await paths()).length === 9 && (await paths()).every((p) => p.startsWith('/items/')), 'the items only')
    assert.match(await filter(), /^host:127\.0\.0\.1 path~"\^\/items\/"$/)
    // The other groups stay to choose from.
    await tree.getByRole('treeitem', { name: /^localhost/ }).click()
    await until(async () => (await filter()) === 'host:localhost', 'the filter to follow')
    await row(page, 'localhost').waitFor()
    await page.getByRole('button', { name: 'Show all hosts' }).click()
    await until(async () => (await filter()) === '', 'no filter')
  })

  test('clients and connections; new exchanges are counted as they come', async () => {
    const by = page.getByRole('combobox', { name: 'Group by' })
    await by.selectOption('client')
    const client = page.getByRole('treeitem', { name: /^127\.0\.0\.1 / })
    await client.waitFor()
    const counted = async () => Number((await client.locator('.number').innerText()).split('\n')[0]!.replace(/\D/g, ''))
    const before = await counted()
    await eaves.get(`${plain.url}/items/counted`)
    await until(async () => (await counted()) === before + 1, 'one more')
    await by.selectOption('connection')
    await page.getByRole('tree', { name: 'Connections' }).getByRole('treeitem').first().click()
    await until(async () => /^-?connection/.test(await filter()), 'the connection in the filter')
    assert.ok((await paths()).length > 0)
    await by.selectOption('host')
    await page.getByRole('button', { name: 'Hide the sources' }).click()
    await page.getByRole('tree').waitFor({ state: 'detached' })
  })
})

describe('the timeline', () => {
  before(fresh)

  test('a stretch is brushed with the mouse and by keyboard, and taken away', async () => {
    const timeline = page.getByRole('region', { name: 'Timeline' })
    await timeline.getByText(/exchanges/).first().waitFor()
    const total = (await page.locator('.status-line').innerText()).match(/([\d,]+) exchanges/)![1]
    await until(async () => (await timeline.locator('.legend').innerText()).includes(`${total} exchanges`), 'everything to be counted')
    const b = (await timeline.locator('.brush-box').boundingBox())!
    await page.mouse.move(b.x + b.width * 0.5, b.y + 20)
    await page.mouse.down()
    await page.mouse.move(b.x + b.width - 1, b.y + 20, { steps: 5 })
    await page.mouse.up()
    await until(async () => /^at:\S+Z\.\.\S+Z$/.test(await filter()), 'the stretch in the filter')
    await until(() => /filter=at/.test(new URL(page.url()).hash), 'the stretch in the address')
    await timeline.getByRole('button', { name: 'All times' }).click()
    await until(async () => (await filter()) === '', 'no stretch')
    // The first bucket alone has the page, by keyboard.
    const until_ = timeline.getByRole('slider', { name: 'Exchanges until' })
    await until_.focus()
    await page.keyboard.press('Home')
    await until(async () => /^at:/.test(await filter()), 'the stretch in the filter')
    await until(async () => { const now = await paths(); return now.includes('/page') && !now.includes('/large') }, 'the list to show that stretch')
    await page.keyboard.press('Escape')
    await until(async () => (await filter()) === '', 'no stretch')
    const rows = await timeline.getByRole('table', { includeHidden: true }).locator('tbody tr').evaluateAll((all) => all.map((r) => Number(r.children[1]!.textContent!.replace(',', ''))))
    assert.equal(rows.reduce((a, n) => a + n, 0), Number(total!.replace(',', '')), 'the table has what the picture has')
  })

  test('it is put away, and stays so', async () => {
    await escape()
    // The address follows a moment later, and is what a reload opens.
    await until(() => !decodeURIComponent(page.url()).includes('filter='), 'an address without a filter')
    await page.keyboard.press('l')
    await page.getByRole('region', { name: 'Timeline' }).waitFor({ state: 'detached' })
    await page.reload()
    await row(page, '/refused').waitFor()
    assert.equal(await page.getByRole('region', { name: 'Timeline' }).count(), 0)
    await page.keyboard.press('l')
    await page.getByRole('region', { name: 'Timeline' }).waitFor()
  })
})

describe('totals', () => {
  before(fresh)

  test('are a table in any order, with an address of its own', async () => {
    await page.keyboard.press('h')
    const table = page.getByRole('region', { name: 'Hosts' }).getByRole('table')
    await table.getByRole('button', { name: '127.0.0.1' }).waitFor()
    await until(() => new URL(page.url()).hash.startsWith('#/totals/host'), 'the address')
    await table.getByRole('button', { name: 'Name' }).click()
    const names = () => table.locator('tbody th').allInnerTexts()
    await until(async () => (await names()).join() === '127.0.0.1,localhost', 'a to z')
    await table.getByRole('button', { name: 'Name' }).click()
    await until(async () => (await names()).join() === 'localhost,127.0.0.1', 'z to a')
    const { page: other } = await open(context, page.url().replace('/host', '/client'))
    await other.getByRole('region', { name: 'Clients' }).getByRole('button', { name: '127.0.0.1' }).waitFor()
    await other.close()
    await table.getByRole('button', { name: 'localhost' }).click()
    await until(async () => (await filter()) === 'host:localhost' && (await paths()).join() === '/x', 'the list narrowed to it')
  })
})

describe('the loading of a page', () => {
  before(fresh)

  test('is a waterfall of what the page asked for, its failures marked', async () => {
    await escape()
    await page.keyboard.press('w')
    await page.getByRole('button', { name: `${plain.url}/page` }).click()
    const falls = page.getByRole('region', { name: 'Waterfall' })
    await falls.getByRole('button', { name: 'page', exact: true }).waitFor()
    const names = await falls.locator('tbody th button').allInnerTexts()
    for (const name of ['page', 'style.css', 'app.js', 'gone.png', 'logo.gif', 'back.gif', 'basket', 'stock']) assert.ok(names.includes(name), `${name} of ${names}`)
    assert.ok(!names.some((n) => ['slow', 'large', 'refused'].includes(n)), `${names}`)
    assert.equal(await falls.locator('tr.failed .end').count(), 1)
    assert.match(await falls.locator('tr', { hasText: 'basket' }).locator('.axis .offscreen').innerText(), /Waiting for the answer \d+ ms/)
    // Another's time lies further right than the page's.
    const left = async (name: string) => (await falls.locator('tr', { has: page.getByRole('button', { name, exact: true }) }).locator('.fall i').first().boundingBox())!.x
    assert.ok((await left('basket')) > (await left('page')))
    await until(() => /^#\/load\?id=\d+$/.test(new URL(page.url()).hash), 'the address')
    await page.reload()
    await falls.getByRole('button', { name: 'basket' }).click()
    await page.locator('.row.selected', { hasText: '/api/basket' }).waitFor()
    await escape()
  })
})

describe('failures', () => {
  before(fresh)

  test('have the one button for what helps', async () => {
    await row(page, 'localhost').getByRole('button', { name: 'Trust its CA' }).click()
    const form = page.getByRole('dialog')
    await until(async () => (await form.locator('input').evaluateAll((all) => all.map((i) => (i as HTMLInputElement).value))).some((v) => v.includes('localhost')), 'the form with the host filled in')
    await page.keyboard.press('Escape')
    await form.waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await row(page, '/refused').click()
    await page.keyboard.press('H')
    await page.getByRole('dialog', { name: 'Test an address' }).waitFor()
    await page.keyboard.press('Escape')
    await escape()
  })

  test('a client that does not trust eaves is helped, too', async () => {
    await eaves.curl('--cacert', secure.trust, `${secure.url}/distrusted`)
    await row(page, 'does not trust').getByRole('button', { name: 'Trust eaves’ CA' }).waitFor()
    for (let i = 0; i < 3; i++) await eaves.curl('--cacert', secure.trust, `${secure.url}/distrusted`)
    await row(page, 'does not trust').getByRole('button', { name: 'Pass through' }).click()
    await page.getByText('localhost is passed through from now on.').waitFor()
    const { rules } = await eaves.api<{ rules: { filter: string; action: string }[] }>('/rules')
    assert.deepEqual(rules.map((r) => [r.filter, r.action]), [['localhost', 'passthrough']])
  })
})

describe('how it looks', () => {
  for (const scheme of schemes) {
    for (const size of sizes) {
      test(`in the ${scheme}, ${size.name}`, async () => {
        const { page: p, errors: said } = await open(chrome, eaves.url, { ...size, colorScheme: scheme })
        await row(p, '/refused').waitFor()
        await p.locator('.timeline .legend').waitFor()
        const name = (what: string) => `list-${what}-${size.name}-${scheme}`
        await check(p, name('plain'))
        if (scheme === 'dark' && size.name === 'narrow') return p.close()
        await p.keyboard.press('g')
        await p.getByRole('treeitem').first().waitFor()
        await check(p, name('sources'))
        await p.keyboard.press('g')
        if (size.name === 'wide' && scheme === 'light') {
          await p.keyboard.press('v')
          await check(p, name('columns'))
          await p.keyboard.press('Escape')
        }
        await p.keyboard.press('h')
        await p.locator('.totals tbody tr').first().waitFor()
        await check(p, name('totals'))
        await p.keyboard.press('w')
        await p.getByRole('button', { name: `${plain.url}/page` }).click()
        await p.locator('.falls tbody tr').first().waitFor()
        await check(p, name('page'))
        assert.deepEqual(said, [])
        await p.close()
      })
    }
  }
})

describe('fast traffic', () => {
  before(fresh)

  test('neither moves the selection nor what is read, and the pill counts it', async () => {
    await page.locator('#exchanges').focus()
    await page.keyboard.press('f')
    await row(page, '/fast').waitFor({ state: 'detached' })
    await row(page, '/missing/a').click()
    const chosen = await page.locator('.row.selected').getAttribute('data-id')
    const y = (await page.locator('.row.selected').boundingBox())!.y
    await page.mouse.move(300, 500)
    await page.mouse.wheel(0, -30)
    const [host, port] = eaves.ready.proxy.split(':')
    const agent = new Agent({ keepAlive: true, maxSockets: 32 })
    const before = (await eaves.api<{ total: number }>('/exchanges?limit=1&total=true')).total
    let sent = 0
    const begun = Date.now()
    const end = begun + 3000
    const one = (): Promise<void> => new Promise((done) => {
      const q = request({ host, port: Number(port), path: `${plain.url}/fast/${sent++}`, agent, headers: { Host: new URL(plain.url).host } }, (a) => { a.resume(); a.on('end', done) })
      q.on('error', () => done())
      q.end()
    })
    await Promise.all(Array.from({ length: 32 }, async () => { while (Date.now() < end) await one() }))
    const rate = Math.round(sent / ((Date.now() - begun) / 1000))
    agent.destroy()
    const all = before + sent
    await until(async () => (await page.locator('.status-line').innerText()).includes(`${all.toLocaleString('en-US')} exchanges`), 'all to be counted')
    console.log(`    ${sent} exchanges through the real eaves, ${rate} a second`)
    assert.ok(rate > 200, `${rate} a second is no load`)
    assert.equal(await page.locator('.row.selected').getAttribute('data-id'), chosen)
    const now = (await page.locator('.row.selected').boundingBox())!.y
    assert.ok(Math.abs(now - y) <= 31, `the selected row went from ${y} to ${now}`)
    const pill = page.getByRole('button', { name: /^[\d,]+ new$/ })
    await until(async () => Number((await pill.innerText()).replace(/\D/g, '')) === sent, `the pill to say ${sent}`)
    assert.ok((await page.locator('.runway .row').count()) < 60)
    await until(async () => (await page.locator('.timeline .legend').innerText()).includes(`${all.toLocaleString('en-US')} exchanges`), 'the timeline to have them')
    await pill.click()
    await row(page, '/fast/').waitFor()
  })

  test('nothing raised an error', () => assert.deepEqual(errors, []))
})
