// The filter box, against the real eaves: completion, the filter in words, mistakes at their column, saved filters, history.

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
  plain = await origin((q, a) => {
    const json = q.url!.startsWith('/api')
    a.writeHead(q.url === '/api/missing' ? 404 : 200, { 'Content-Type': json ? 'application/json' : 'text/html', 'X-Trace-Id': '7' })
    a.end(json ? '{}' : '<p>hello')
  })
  eaves = new Eaves()
  await eaves.start()
  for (const path of ['/page', '/api/one', '/api/two', '/api/missing']) await eaves.get(plain.url + path)
  await eaves.get(plain.url + '/api/made', { method: 'POST', body: '{}' })
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
  ;({ page, errors } = await open(context, eaves.url))
  await row(page, '/api/made').waitFor()
  const got = await eaves.api<{ exchanges: { id: number }[] }>('/exchanges?limit=1')
  await eaves.api(`/exchanges/${got.exchanges[0]!.id}`, { method: 'PATCH', body: JSON.stringify({ mark: 'look "here" (soon)' }), headers: { 'Content-Type': 'application/json' } })
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
})

const box = () => page.getByRole('combobox', { name: 'Filter' })
const option = (name: string | RegExp) => page.locator('#filter-options [role=option]', { hasText: name }).first()
const rows = (n: number) => until(async () => (await page.locator('.runway .row').count()) === n, `the list to have ${n} rows`)
const valueIs = (v: string) => until(async () => (await box().inputValue()) === v, `the box to hold ${v}`)

async function clear(): Promise<void> {
  await box().fill('')
  await rows(5)
}

test('a field is completed from its first letters, and tells what it is', async () => {
  await page.keyboard.press('/')
  await box().pressSequentially('sta')
  await option(/^status:/).waitFor()
  assert.match(await option(/^status:/).innerText(), /status code \(404\)/)
  await page.keyboard.press('ArrowDown')
  assert.equal(await box().getAttribute('aria-activedescendant'), await page.locator('#filter-options [aria-selected=true]').getAttribute('id'))
  await page.keyboard.press('Enter')
  await valueIs('status:')
})

test('values that were seen are offered with their counts, and say of how many', async () => {
  await option(/^404/).waitFor()
  assert.match((await option(/^200/).innerText()).replace(/\s+/g, ' '), /200 4 exchanges/)
  assert.match((await option(/^404/).innerText()).replace(/\s+/g, ' '), /404 1 exchanges/)
  assert.match(await page.locator('.filter-options .hint').innerText(), /counted in all 5 exchanges/)
  // Nothing is wrong yet with what is still being written.
  assert.equal(await page.locator('#filter-problem').count(), 0)
  await page.keyboard.type('4')
  await until(async () => (await page.locator('#filter-options [role=option]').first().innerText()).startsWith('404'), '404 to be the first')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await valueIs('status:404 ')
  await rows(1)
})

test('the filter is said in words', async () => {
  const words = page.locator('#filter-words')
  await until(async () => (await words.innerText()) === 'Shown where the status is 404', 'the words')
  assert.equal(await box().getAttribute('aria-describedby'), 'filter-words')
  await clear()
  await words.waitFor({ state: 'detached' })
})

test('values are counted among what the other terms let through', async () => {
  await box().fill('status:404 method:')
  await option(/^GET/).waitFor()
  assert.equal(await page.locator('#filter-options [role=option]').count(), 1)
  await box().fill('method in (')
  await option(/^POST/).click()
  await valueIs('method in (POST')
  await box().press('End')
  await page.keyboard.type(')')
  await rows(1)
  await clear()
})

test('a value that needs quotes is put in with them, and matches', async () => {
  await box().fill('mark:')
  await option('look "here" (soon)').click()
  await valueIs('mark:"look \\"here\\" (soon)" ')
  await rows(1)
  await clear()
})

test('header names are completed', async () => {
  await box().fill('resp.header[x-tr')
  await option('x-trace-id').click()
  await valueIs('resp.header[x-trace-id]')
  await rows(5)
  await clear()
})

test('a mistake is underlined where it stands, and said', async () => {
  await box().fill('method:GET stauts:404 x')
  const problem = page.locator('#filter-problem')
  await problem.waitFor()
  assert.match(await problem.innerText(), /Column 12: there is no field "stauts"/)
  assert.equal(await box().getAttribute('aria-invalid'), 'true')
  const mark = (await page.locator('.squiggle').boundingBox())!
  const at = (await box().boundingBox())!
  const letter = 12.5 * 0.6
  assert.ok(Math.abs(mark.x - at.x - 6 - 11 * letter) < 12, `the mark stands at ${mark.x - at.x}`)
  await check(page, 'filter-mistake-wide-light')
  await clear()
})

test('a filter is saved under a name, and another browser finds it', async () => {
  await box().fill('path:/api status<400')
  await page.keyboard.press('Enter')
  await rows(3)
  await page.getByRole('button', { name: 'Filters at hand' }).click()
  await page.getByLabel('Save this filter as').fill('good calls')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('Filter saved as “good calls”.').waitFor()
  await page.locator('.quick .saved').waitFor()
  await check(page, 'filter-saved-wide-light')
  await page.keyboard.press('Escape')
  await page.locator('.quick').waitFor({ state: 'detached' })
  await clear()
  const stranger = await chrome.newContext()
  const { page: theirs } = await open(stranger, eaves.url)
  await row(theirs, '/api/made').waitFor()
  await theirs.keyboard.press('q')
  await theirs.getByRole('button', { name: /^good calls/ }).click()
  await until(async () => (await theirs.locator('.runway .row').count()) === 3, 'the saved filter to hold')
  await stranger.close()
})

test('a second one of the same name is refused where it is written', async () => {
  await box().fill('status:404')
  await page.keyboard.press('Enter')
  await until(() => page.evaluate(() => document.activeElement?.id === 'exchanges'), 'the list to have the focus')
  await page.keyboard.press('q')
  await page.getByLabel('Save this filter as').fill('Good calls')
  await page.keyboard.press('Enter')
  await page.getByText('a filter is saved as "Good calls" already').waitFor()
  await page.keyboard.press('Escape')
  await clear()
})

test('an empty box offers what was used lately and what is saved', async () => {
  await page.locator('#exchanges').focus()
  await page.keyboard.press('/')
  const first = page.locator('#filter-options [role=option]').first()
  await first.waitFor()
  assert.match(await first.innerText(), /status:404[^]*used lately/)
  await option(/saved: good calls/).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await valueIs('status:404')
  await rows(1)
  await page.keyboard.press('Escape')
  await rows(5)
})

test('a saved filter is removed', async () => {
  await page.locator('#exchanges').focus()
  await page.keyboard.press('q')
  await page.getByRole('button', { name: 'Remove the saved filter good calls' }).click()
  await page.locator('.quick .saved').waitFor({ state: 'detached' })
  assert.deepEqual(await eaves.api('/filters'), { filters: [] })
  await page.keyboard.press('Escape')
})

test('axe finds nothing, wide and narrow, light and dark, and at 200 %', async () => {
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const size of [...sizes, { name: 'zoomed', width: 640, height: 400 }]) {
      await page.setViewportSize(size)
      await box().fill('')
      await box().fill('host:*.test cert.asked -cert.sent or st')
      await option(/^status:/).waitFor()
      await page.keyboard.press('ArrowDown')
      await check(page, `filter-fields-${size.name}-${scheme}`)
      await box().fill('type:')
      await option('application/json').waitFor()
      await check(page, `filter-values-${size.name}-${scheme}`)
      await box().fill('path:/api -status>=400')
      await page.keyboard.press('Enter')
      await page.locator('#filter-words').waitFor()
      await rows(3)
      await check(page, `filter-words-${size.name}-${scheme}`)
    }
  }
  assert.deepEqual(errors, [])
})
