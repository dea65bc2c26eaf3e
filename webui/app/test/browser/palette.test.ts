// Keys and the palette of actions, against the real eaves.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { check, schemes, sizes } from '../look.ts'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

let eaves: Eaves
let plain: Origin
let chrome: Browser
let context: BrowserContext
let page: Page
let errors: string[]

before(async () => {
  plain = await origin((q, a) => a.end(`you asked for ${q.url}`))
  eaves = new Eaves()
  await eaves.start()
  for (const path of ['/one', '/two', '/three']) await eaves.get(plain.url + path)
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] })
  ;({ page, errors } = await open(context, eaves.url))
  await row(page, '/three').waitFor()
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
})

const box = () => page.getByRole('combobox', { name: 'Find an action' })
const chosen = async () => (await page.locator('.palette [aria-selected=true] .name').innerText()).trim()
const addressHas = (part: string) => until(() => new URL(page.url()).hash.includes(part), `the address to have ${part}`)

test('Ctrl+K lists every action, the keyboard finds one and starts it', async () => {
  await row(page, '/two').click()
  await page.keyboard.press('Control+k')
  await box().waitFor()
  assert.ok(await page.getByRole('option').count() > 25)
  await page.keyboard.type('tim')
  assert.equal(await chosen(), 'Show Timing')
  await page.keyboard.press('Enter')
  await page.getByRole('tab', { name: 'Timing', selected: true }).waitFor()
  assert.equal(await box().count(), 0)
})

test('arrows choose, Esc closes and gives the focus back, what was used lately is first', async () => {
  await page.locator('#exchanges').focus()
  await page.keyboard.press('Control+k')
  assert.equal(await chosen(), 'Show Timing')
  const before = await box().getAttribute('aria-activedescendant')
  await page.keyboard.press('ArrowDown')
  assert.notEqual(await box().getAttribute('aria-activedescendant'), before)
  await page.keyboard.press('ArrowUp')
  assert.equal(await chosen(), 'Show Timing')
  await page.keyboard.press('Escape')
  await box().waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'exchanges')
})

test('what cannot be done says what is missing', async () => {
  await page.keyboard.press('Escape')
  await until(() => !page.url().includes('id='), 'nothing to be selected')
  await page.keyboard.press('Control+k')
  await page.keyboard.type('as curl')
  assert.match(await chosen(), /choose an exchange first/)
  assert.equal(await page.locator('.palette [aria-selected=true]').getAttribute('aria-disabled'), 'true')
  await page.keyboard.press('Enter')
  assert.equal(await box().count(), 1, 'an action that cannot be done was started')
  await page.keyboard.press('Escape')
})

test('y copies a link, which opens the same view with its tab', async () => {
  await page.locator('#filter').fill('path:/two')
  await page.keyboard.press('Enter')
  await until(async () => (await page.locator('.runway .row').count()) === 1, 'the filter to hold')
  await row(page, '/two').click()
  await page.getByRole('tab', { name: 'Timing' }).click()
  await page.locator('#exchanges').focus()
  await page.keyboard.press('y')
  await page.getByText('Link copied.').waitFor()
  const link = await page.evaluate(() => navigator.clipboard.readText())
  assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/#\/\?filter=path%3A%2Ftwo&id=\d+&tab=timing$/)
  const other = await context.newPage()
  await other.goto(link)
  await other.getByRole('tab', { name: 'Timing', selected: true }).waitFor()
  assert.equal(await other.locator('#filter').inputValue(), 'path:/two')
  await until(async () => (await other.locator('.runway .row').count()) === 1, 'the link to show what the filter lets through')
  assert.match(await other.locator('.runway .row[aria-selected=true]').innerText(), /\/two/)
  await other.close()
  await page.locator('#filter').fill('')
  await page.keyboard.press('Enter')
  await row(page, '/one').waitFor()
})

test('a saved filter is found like an action', async () => {
  await eaves.api('/filters', { method: 'POST', body: JSON.stringify({ name: 'only the second', filter: 'path:/two' }), headers: { 'Content-Type': 'application/json' } })
  await page.locator('#exchanges').focus()
  await page.keyboard.press('Control+k')
  await page.getByRole('option', { name: 'only the second' }).waitFor()
  await page.keyboard.type('second')
  await page.keyboard.press('Enter')
  await until(async () => (await page.locator('.runway .row').count()) === 1, 'the saved filter to hold')
  await page.locator('#filter').fill('')
  await page.keyboard.press('Enter')
  await row(page, '/one').waitFor()
})

test('a letter typed into a field, or with a modifier, starts nothing', async () => {
  await row(page, '/one').click()
  await addressHas('id=')
  const before = page.url()
  await page.locator('#filter').focus()
  await page.keyboard.type('xmr?')
  assert.equal(await page.locator('#filter').inputValue(), 'xmr?')
  await page.locator('#filter').fill('')
  await page.locator('#exchanges').focus()
  await page.keyboard.press('Alt+x')
  await page.keyboard.press('Control+m')
  // What follows is shown after all that came before it.
  await page.keyboard.press('?')
  await page.getByRole('heading', { name: 'Keys and filters' }).waitFor()
  assert.equal(await page.locator('.toast').filter({ hasText: /deleted|Sent again/ }).count(), 0)
  assert.equal(page.url().split('#')[0], before.split('#')[0])
  const got = await eaves.api<{ exchanges: { mark: string }[] }>('/exchanges')
  assert.equal(got.exchanges.length, 3)
  assert.ok(got.exchanges.every((x) => x.mark === ''))
})

test('the help is made from the same table', async () => {
  const keys = await page.locator('dialog.help kbd').allInnerTexts()
  for (const k of ['j or ↓', '/', 'Enter', 'r', 'R', 'e', 'm', 'c', 'y', 'x', 'f', '?', 'Ctrl+K']) assert.ok(keys.includes(k), `${k} is not in the help`)
  await page.keyboard.press('Control+k')
  assert.equal(await box().count(), 0, 'the palette opened over a dialog')
  await page.keyboard.press('Escape')
})

test('axe finds nothing in the palette and the help', async () => {
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const size of sizes) {
      await page.setViewportSize(size)
      if (size.name === 'narrow') await page.evaluate(() => (location.hash = '#/'))
      await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
      await page.keyboard.press('Control+k')
      await box().waitFor()
      await check(page, `palette-${size.name}-${scheme}`)
      await page.keyboard.type('route')
      await check(page, `palette-search-${size.name}-${scheme}`)
      await page.keyboard.press('Escape')
      await page.keyboard.press('?')
      await page.getByRole('heading', { name: 'Keys and filters' }).waitFor()
      await check(page, `help-${size.name}-${scheme}`)
      await page.keyboard.press('Escape')
    }
  }
  assert.deepEqual(errors, [])
})
