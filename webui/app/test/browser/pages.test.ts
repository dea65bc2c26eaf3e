// A walk over every page and every dialog, each in light and dark, wide, narrow and at 200 % zoom: nothing for axe-core to
// find, nothing that sticks out, focus that can be seen, nothing that moves where one asked for less of it, and no line of
// the content security policy broken on the way. Pictures of all of it go to webui/app/screenshots/pages.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { Summary } from '../../src/api/types.ts'
import { exchange, Fake } from '../fake.ts'
import { browser, Eaves, origin, row, tlsOrigin, until, type Origin } from '../real.ts'

const axe = readFileSync(createRequire(join(process.cwd(), 'package.json')).resolve('axe-core/axe.min.js'), 'utf8')
const pictures = join(process.cwd(), 'screenshots', 'pages')
mkdirSync(pictures, { recursive: true })

/** The last is what 200 % zoom leaves of the first. */
const windows = [{ name: 'wide', width: 1280, height: 800 }, { name: 'narrow', width: 375, height: 700 }, { name: 'zoomed', width: 640, height: 400 }] as const

interface Finding { id: string; nodes: { html: string; failureSummary: string }[] }

/** findings are what axe-core has against the page, as it is in the window now. */
async function findings(page: Page, options: object = {}): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe)
  const found = (await page.evaluate(async (o) => (await (globalThis as unknown as { axe: { run(o: object): Promise<{ violations: unknown[] }> } }).axe.run({ resultTypes: ['violations'], ...o })).violations, options)) as Finding[]
  return found.map((f) => `${f.id}: ${f.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 140)} ${n.failureSummary.slice(0, 200)}`).join(' | ')}`)
}

/** outside are the controls that nobody can reach: past the window's edge, with nothing around them that scrolls. */
function outside(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > innerWidth ? [`the page is ${document.documentElement.scrollWidth} wide`] : []
    const scrolls = (e: Element | null): boolean => e !== null && e !== document.documentElement && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement))
    for (const e of document.querySelectorAll<HTMLElement>('button, a[href], input, select, textarea')) {
      const b = e.getBoundingClientRect()
      const clipped = (x: Element | null): boolean => x !== null && (getComputedStyle(x).clipPath !== 'none' || clipped(x.parentElement))
      const seen = !clipped(e) && b.width > 1 && b.height > 1 && getComputedStyle(e).visibility !== 'hidden' && !e.closest('.offscreen, [inert]')
      if (seen && (b.right > innerWidth + 1 || b.left < -1) && !scrolls(e.parentElement)) wide.push(`${e.outerHTML.slice(0, 100)} reaches from ${Math.round(b.left)} to ${Math.round(b.right)}`)
    }
    return wide
  })
}

/** look holds one view against all that is asked of views. */
async function look(page: Page, name: string): Promise<void> {
  const wrong: string[] = []
  for (const w of windows) {
    await page.setViewportSize({ width: w.width, height: w.height })
    for (const colorScheme of ['light', 'dark'] as const) {
      // In the dark only colours can be other than in the light, zoomed only what stands where.
      if (colorScheme === 'dark' && w.name === 'zoomed') continue
      await page.emulateMedia({ colorScheme })
      await page.screenshot({ path: join(pictures, `${name}-${w.name}-${colorScheme}.png`), animations: 'disabled' })
      if (w.name === 'zoomed' || (colorScheme === 'dark' && w.name !== 'wide')) continue
      wrong.push(...(await findings(page, colorScheme === 'dark' ? { runOnly: ['color-contrast'] } : {})).map((f) => `${w.name} ${colorScheme}: ${f}`))
    }
    wrong.push(...(await outside(page)).map((f) => `${w.name}: ${f}`))
  }
  await page.setViewportSize(windows[0])
  await page.emulateMedia({ colorScheme: 'light' })
  assert.deepEqual(wrong, [], name)
}

/** unseen goes through what Tab reaches and names what looks the same with and without the focus. */
async function unseen(page: Page, stops: number): Promise<string[]> {
  const bad: string[] = []
  for (let i = 0; i < stops; i++) {
    await page.keyboard.press('Tab')
    const same = await page.evaluate(async () => {
      const e = document.activeElement as HTMLElement | null
      if (!e || e === document.body) return undefined
      // What stands for the control may be beside or around it: a drawn switch, a field with a frame.
      const around = [e, e.nextElementSibling, e.parentElement, e.parentElement?.parentElement].filter((x) => x instanceof Element)
      const style = () => around.map((x) => { const s = getComputedStyle(x); return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.borderColor, s.backgroundColor, s.textDecorationLine].join() }).join(';')
      const settled = () => Promise.all(document.getAnimations().filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime as number)).map((a) => a.finished.catch(() => {})))
      await settled()
      const focused = style()
      e.blur()
      await settled()
      const blurred = style()
      e.focus({ preventScroll: true })
      return focused === blurred ? e.outerHTML.slice(0, 120) : undefined
    })
    if (same) bad.push(same)
  }
  return bad
}

let chrome: Browser
let eaves: Eaves
let plain: Origin
let secure: Origin & { trust: string }

/** visit opens the console and notes whatever goes wrong in it. */
async function visit(url: string, options: { reducedMotion?: 'reduce' } = {}): Promise<{ page: Page; wrong: string[] }> {
  const wrong: string[] = []
  const page = await chrome.newPage({ viewport: windows[0], ...options })
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (e) => wrong.push(e.message))
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) wrong.push(m.text()) })
  await page.exposeFunction('violated', (what: string) => wrong.push(what))
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (e) => (globalThis as unknown as { violated(s: string): void }).violated(`${e.violatedDirective}: ${e.blockedURI} ${e.sample}`)))
  await page.goto(url)
  return { page, wrong }
}

before(async () => {
  chrome = await browser()
  const listener: Parameters<typeof origin>[0] = (q, a) => {
    q.resume()
    if (q.url === '/slow') return // never answered: it stays open
    const status = Number(/\/status\/(\d+)/.exec(q.url!)?.[1] ?? 200)
    a.writeHead(status, { 'Content-Type': 'application/json', 'Set-Cookie': 'a=1; Path=/; HttpOnly' })
    a.end(JSON.stringify({ user: { id: 7, name: 'Ada', roles: ['admin', 'author'] }, orders: [{ id: 1, total: 12.5, paid: true }], next: null }))
  }
  plain = await origin(listener)
  secure = await tlsOrigin(listener)
  eaves = new Eaves({ SSL_CERT_FILE: secure.trust })
  await eaves.start()
})
after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  await secure?.close()
})

const settings = [['certificates', 'Client certificates'], ['trust', 'Trust'], ['tls', 'TLS policies'], ['routes', 'Routes'], ['bypass', 'Bypass'], ['retention', 'Retention'], ['secrets', 'Secrets'], ['inventory', 'Inventory']] as const
/** settled waits until a page has read what it shows. */
const settled = async (page: Page) => {
  if (await page.evaluate(() => location.hash.startsWith('#/settings'))) await page.locator('.section .intro').waitFor()
  await page.getByText(/^(Reading|Adding up) …$/).waitFor({ state: 'detached' })
}
const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).first().waitFor()
const dialog = (page: Page) => page.getByRole('dialog').last()
const close = async (page: Page) => {
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

describe('with nothing in it', () => {
  test('every page', async () => {
    const { page, wrong } = await visit(eaves.url)
    await page.getByText('Waiting for the first request').waitFor()
    await look(page, 'empty-traffic')
    for (const [hash, name] of [['totals/host', 'Totals'], ['rules', 'Rules'], ...settings.map(([s, n]) => [`settings/${s}`, n] as const)] as const) {
      await page.evaluate((h) => (location.hash = `#/${h}`), hash)
      if (!['Totals', 'Rules'].includes(name)) await heading(page, name)
      else await page.getByRole('heading', { level: 1 }).last().waitFor()
      await settled(page)
      await look(page, `empty-${hash.replace(/\W/g, '-')}`)
    }
    assert.deepEqual(wrong, [])
    await page.close()
  })
})

describe('with traffic and settings', () => {
  let page: Page
  let wrong: string[]
  before(async () => {
    const json = { 'Content-Type': 'application/json' }
    const put = (path: string, method: string, body: object) => eaves.api(path, { method, headers: json, body: JSON.stringify(body) })
    const dead = await origin(() => {})
    await dead.close()
    for (let i = 0; i < 10; i++) await eaves.get(`${plain.url}/v1/users/${i}?page=${i}&a-rather-long-parameter=${'x'.repeat(40)}`)
    for (const s of [404, 503]) await eaves.get(`${plain.url}/status/${s}`)
    await eaves.get(`${dead.url}/unreachable`)
    await eaves.curl(`${secure.url}/v1/account`)
    await eaves.curl('--cacert', secure.trust, `${secure.url}/distrust`)
    const ws = await eaves.socket(`${plain.url}/socket`)
    ws.send('{"subscribe":"prices"}')
    void eaves.get(`${plain.url}/slow`).catch(() => {})
    const first = (await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1&after=0')).exchanges[0]!
    await put(`/exchanges/${first.id}/replay`, 'POST', {})
    await put(`/exchanges/${first.id}`, 'PATCH', { mark: 'marked' })
    await put('/rules', 'POST', { filter: 'path:/health', action: 'ignore' })
    await put('/trust', 'POST', { file: secure.trust, host: '*.a-host-with-a-rather-long-name.corp.example' })
    await put('/tls-policies', 'POST', { host: '*.old.example', min: '1.0', verify: false })
    await put('/routes', 'POST', { host: '*.corp.example', via: ['http://proxy.corp.example:3128', 'socks5://gateway.corp.example:1080'], user: 'alice' })
    await put('/routes/default', 'PUT', { upstreamProxy: ['system'], bypass: '<local>,.corp.example,10.0.0.0/8' })
    await put('/secrets', 'POST', { name: 'proxy-password', value: 'sesame' })
    ;({ page, wrong } = await visit(eaves.url))
    await row(page, '/slow').waitFor()
  })
  after(async () => { await page?.close() })

  test('the list, its parts and every tab of an exchange', async () => {
    await look(page, 'traffic')
    for (const [key, name] of [['l', 'timeline'], ['g', 'sources']] as const) {
      await page.keyboard.press(key)
      await look(page, `traffic-${name}`)
      await page.keyboard.press(key)
    }
    await row(page, '/v1/users/9').click()
    for (const tab of await page.getByRole('tab').allInnerTexts()) {
      const name = tab.split(/\s/)[0]!
      await page.getByRole('tab', { name }).click()
      if (name === 'Response') await page.getByText('"admin"').waitFor()
      await look(page, `tab-${name.toLowerCase()}`)
    }
    for (const [path, name] of [['/unreachable', 'failed'], ['/socket', 'socket'], ['/slow', 'open'], ['/v1/account', 'tls']] as const) {
      await row(page, path).click()
      await page.getByRole('tab', { name: name === 'tls' ? 'TLS' : 'Overview' }).click()
      await look(page, `exchange-${name}`)
    }
  })

  test('every dialog of an exchange', async () => {
    for (const [key, name] of [['e', 'edit'], ['R', 'replay-as'], ['X', 'matrix'], ['d', 'diff'], ['n', 'compose'], ['t', 'try'], ['v', 'columns'], ['?', 'help'], ['Control+k', 'palette']] as const) {
      await row(page, '/v1/users/8').click()
      await page.getByRole('tab', { name: 'Overview' }).waitFor()
      await page.locator('.detail').getByText('/v1/users/8').first().waitFor()
      await page.keyboard.press(key)
      await dialog(page).waitFor()
      await look(page, `dialog-${name}`)
      await close(page)
    }
  })

  test('every page and form of the settings', async () => {
    for (const [section, name] of settings) {
      await page.evaluate((s) => (location.hash = `#/settings/${s}`), section)
      await heading(page, name)
      await settled(page)
      await look(page, `settings-${section}`)
      if (!['certificates', 'trust', 'tls', 'routes'].includes(section)) continue
      await page.keyboard.press('a')
      await dialog(page).waitFor()
      await look(page, `form-${section}`)
      await close(page)
    }
  })

  test('totals, a page’s load, rules, getting started', async () => {
    for (const hash of ['totals/host', 'totals/client', 'load', 'rules', 'start']) {
      await page.evaluate((h) => (location.hash = `#/${h}`), hash)
      await page.getByRole('heading', { level: 1 }).last().waitFor()
      await settled(page)
      await look(page, hash.replace(/\W/g, '-'))
    }
  })

  test('what goes wrong is said where it does', async () => {
    await page.evaluate(() => (location.hash = '#/?filter=' + encodeURIComponent('nosuch:field')))
    await page.getByRole('alert').first().waitFor()
    await look(page, 'error-filter')
    await page.getByRole('combobox', { name: 'Filter' }).fill('')
    await page.getByRole('combobox', { name: 'Filter' }).evaluate((e) => (e as HTMLElement).blur())
    await page.getByRole('alert').waitFor({ state: 'detached' })
    const broken = (url: URL) => /\/api\/v1\/(routes|retention|trust|groups)/.test(url.pathname)
    await page.route(broken, (r) => r.fulfill({ status: 500, contentType: 'application/problem+json', body: '{"title":"Internal Server Error","status":500,"detail":"the disk is full; nothing could be read"}' }))
    for (const hash of ['settings/routes', 'settings/retention', 'settings/trust', 'totals/host']) {
      await page.evaluate((h) => (location.hash = `#/${h}`), hash)
      await page.getByText('the disk is full').first().waitFor()
      await look(page, `error-${hash.replace(/\W/g, '-')}`)
    }
    await page.unroute(broken)
    await page.evaluate(() => (location.hash = '#/'))
    await row(page, '/slow').waitFor()
  })

  test('whatever Tab reaches shows that it did', async () => {
    for (const hash of ['', 'rules', 'start', ...settings.map(([s]) => `settings/${s}`)]) {
      await page.evaluate((h) => {
        location.hash = `#/${h}`
        ;(document.activeElement as HTMLElement | null)?.blur()
      }, hash)
      await page.locator('main').waitFor()
      assert.deepEqual(await unseen(page, 22), [], `#/${hash}`)
    }
  })

  test('nothing broke the content security policy or raised an error', () => assert.deepEqual(wrong, []))
})

test('nothing moves where less motion is asked for, and something does where it is not', async () => {
  const moving = (page: Page) => page.evaluate(() => document.getAnimations().filter((a) => Number(a.effect?.getComputedTiming().duration) > 20 && a.playState === 'running').length)
  const still = await visit(eaves.url, { reducedMotion: 'reduce' })
  await row(still.page, '/slow').waitFor()
  assert.equal(await moving(still.page), 0)
  await still.page.close()
  const lively = await visit(eaves.url)
  await row(lively.page, '/slow').waitFor()
  await until(async () => (await moving(lively.page)) > 0, 'the sign of the open exchange to move')
  await lively.page.close()
})

test('a hundred thousand rows', async () => {
  const fake = new Fake(join(process.cwd(), '..', 'dist'))
  for (let i = 1; i <= 100_000; i++) fake.exchanges.push(exchange(i, i))
  fake.seq = 100_000
  const { page, wrong } = await visit(await fake.listen())
  await page.locator('#row-100000').waitFor()
  await look(page, 'many')
  await page.locator('.scroller').evaluate((el) => (el.scrollTop = el.scrollHeight / 2))
  await until(async () => Number(await page.locator('.runway .row').first().getAttribute('data-id')) < 60_000, 'the middle')
  await look(page, 'many-middle')
  assert.deepEqual(wrong, [])
  await page.close()
  await fake.close()
})
