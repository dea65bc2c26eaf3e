// What somebody tries who does not know the console yet, against the real eaves.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

let eaves: Eaves
let plain: Origin
let chrome: Browser
let page: Page
let errors: string[]

before(async () => {
  plain = await origin((q, a) => {
    a.writeHead(q.url === '/missing' ? 404 : 200, { 'Content-Type': 'application/json' })
    a.end('{"a":{"b":1}}')
  })
  eaves = new Eaves()
  await eaves.start()
  for (const path of ['/one', '/two', '/three', '/missing']) await eaves.get(plain.url + path)
  chrome = await browser()
  ;({ page, errors } = await open(chrome, eaves.url))
  await row(page, '/missing').waitFor()
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
})

const box = () => page.getByRole('combobox', { name: 'Filter' })
const options = () => page.locator('#filter-options [role=option]')
const focused = () => page.evaluate(() => document.activeElement?.id)
const boxHolds = (v: string) => until(async () => (await box().inputValue()) === v, `the box to hold ${v}`)

test('Tab takes the first completion, and goes on where nothing is being written', async () => {
  await page.keyboard.press('/')
  await until(async () => (await focused()) === 'filter', 'the filter box to have the focus')
  await page.keyboard.type('stat')
  await options().first().waitFor()
  assert.match(await page.locator('.filter-options .hint').innerText(), /Tab take the first\s+Enter filter by what is written/)
  await page.keyboard.press('Tab')
  await boxHolds('status:')
  assert.equal(await focused(), 'filter')
  await page.keyboard.type('40')
  await until(async () => (await options().allInnerTexts()).join().startsWith('404'), 'one value to be offered')
  await page.keyboard.press('Tab')
  await boxHolds('status:404 ')
  await until(async () => (await page.locator('.runway .row').count()) === 1, 'the list to be filtered')
  await page.keyboard.press('Tab')
  assert.notEqual(await focused(), 'filter', 'Tab leaves a finished term')
  await box().fill('stat')
  await options().first().waitFor()
  await page.keyboard.press('ArrowDown')
  await until(async () => /Tab or Enter take/.test(await page.locator('.filter-options .hint').innerText()), 'the footer to say what Enter does')
  await page.keyboard.press('Enter')
  await boxHolds('status:')
  await box().fill('')
  await until(async () => (await page.locator('.runway .row').count()) === 4, 'the whole list')
  await page.locator('#exchanges').focus()
})

test('an address to test is empty at first, and has one scheme', async () => {
  await page.keyboard.press('t')
  const dialog = page.getByRole('dialog', { name: 'Test an address' })
  const address = dialog.getByLabel('Address')
  await address.waitFor()
  await until(() => address.evaluate((e) => e === document.activeElement), 'the address to have the focus')
  assert.equal(await address.inputValue(), '')
  await page.keyboard.type('https://https://api.example.com/')
  assert.equal(await address.inputValue(), 'https://api.example.com/')
  await page.keyboard.press('Escape')
  await row(page, '/one').click()
  await page.keyboard.press('t')
  await until(async () => (await address.inputValue()) === plain.url + '/one', 'the address of the exchange')
  await page.keyboard.type('https://other.example.com/')
  assert.equal(await address.inputValue(), 'https://other.example.com/', 'what stands there is typed over')
  await page.keyboard.press('Escape')
})

test('d compares with the one marked last, and says so', async () => {
  const marked = async (path: string) => {
    await row(page, path).click()
    await page.keyboard.press('m')
    await row(page, path).locator('.mark').waitFor()
    return Number(await row(page, path).getAttribute('data-id'))
  }
  await marked('/missing')
  const last = await marked('/one')
  await marked('/two')
  await page.keyboard.press('d')
  const dialog = page.getByRole('dialog', { name: /side by side/ })
  await dialog.getByText(`#${last} is the one marked last.`).waitFor()
  await page.keyboard.press('Escape')
})

test('the focus goes with the tab that a digit chooses', async () => {
  await row(page, '/one').click()
  await page.locator('#exchanges').focus()
  await page.keyboard.press('Enter')
  await until(async () => (await focused()) === 'tab-overview', 'the first tab to have the focus')
  await page.keyboard.press('3')
  await until(async () => (await focused()) === 'tab-response', 'the focus to be on the third tab')
  assert.equal(await page.locator('#tab-response').getAttribute('aria-selected'), 'true')
  await page.keyboard.press('1')
})

test('Esc leaves a field of the settings, with what is written in it', async () => {
  await page.evaluate(() => { location.hash = '#/settings/bypass' })
  const add = page.getByLabel('Add an entry')
  await add.waitFor()
  await page.keyboard.press('a')
  await page.keyboard.type('6')
  await page.getByText('A host whose name is “6”.').waitFor()
  await page.keyboard.press('Escape')
  assert.equal(await add.evaluate((e) => e === document.activeElement), false)
  assert.equal(await add.inputValue(), '6')
  assert.match(page.url(), /settings\/bypass/)
  await page.keyboard.press('Escape')
  await page.locator('#exchanges').waitFor()
})

test('a failure tells its path and error also where there is little room, an import who had sent it', async () => {
  await eaves.get('http://127.0.0.1:1/some/path')
  await row(page, '/some/path').click()
  await page.getByRole('region', { name: /^Exchange / }).waitFor()
  const cell = row(page, '/some/path').locator('.c-path')
  const room = async (what: string) => (await cell.locator(what).boundingBox())!.width
  assert.ok((await room('.path')) > 40, 'the path is seen')
  assert.ok((await room('.cause')) > 60, 'the error is seen')
  const har = await eaves.api<unknown>('/export?format=har&filter=path:/one').catch((e) => String(e))
  assert.equal(typeof har, 'object', String(har))
  await eaves.api('/import?format=har', { method: 'POST', body: JSON.stringify(har), headers: { 'Content-Type': 'application/json' } })
  const imported = (await eaves.api<{ exchanges: { id: number; source: string }[] }>('/exchanges?limit=1')).exchanges[0]!
  assert.equal(imported.source, 'import')
  await page.evaluate((n) => { location.hash = `#/?id=${n}` }, imported.id)
  const way = page.getByRole('list', { name: 'The way this exchange took' })
  await way.getByText('imported', { exact: true }).waitFor()
  assert.match(await way.innerText(), /^client/)
})

test('code in a hint is shown as code', async () => {
  await eaves.curl('--cacert', '/dev/null', `https://127.0.0.1:${new URL(plain.url).port}/`)
  const failed = page.locator('.runway .row.failed').last()
  await until(async () => /failed/.test(await failed.innerText()) && /CA|certificate|TLS/i.test(await failed.innerText()), 'the handshake to fail')
  await failed.click()
  const hint = page.locator('.failure .hint')
  await hint.locator('code').first().waitFor()
  assert.doesNotMatch(await hint.innerText(), /`/)
})

test('folding does not lie on the lines of a narrow page', async () => {
  await page.setViewportSize({ width: 375, height: 740 })
  const id = (await eaves.api<{ exchanges: { id: number }[] }>('/exchanges?filter=path:/two')).exchanges[0]!.id
  await page.evaluate((n) => { location.hash = `#/?id=${n}&tab=response` }, id)
  const folding = page.locator('.folding')
  await folding.waitFor()
  const [bar, code] = [(await folding.boundingBox())!, (await page.locator('.code-box .virtual').boundingBox())!]
  assert.ok(bar.y >= code.y + code.height - 1, `the bar at ${bar.y} is below the lines, which end at ${code.y + code.height}`)
  await page.setViewportSize({ width: 1280, height: 800 })
})

test('deleting all says how many go, and how many of them are marked', async () => {
  await page.getByRole('button', { name: 'Delete what is listed' }).click()
  const dialog = page.getByRole('dialog', { name: 'Are you sure?' })
  await dialog.waitFor()
  const count = async (filter: string) => (await eaves.api<{ total: number }>(`/exchanges?limit=1&total=true&filter=${filter}`)).total
  await until(async () => (await dialog.innerText()).includes('marked'), 'the question')
  assert.ok((await dialog.innerText()).includes(`Delete all ${await count('')} exchanges in this capture, ${await count('is:marked')} of them marked? This cannot be undone.`), await dialog.innerText())
  await dialog.getByRole('button', { name: 'Cancel' }).click()
})

test('nothing went wrong in the page', () => assert.deepEqual(errors, []))
