// The live view under load and under broken connections. What a real proxy cannot be made to do on demand comes from a
// server that speaks the same API; the restarts are those of the real eaves.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { exchange, Fake } from '../fake.ts'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

let chrome: Browser
before(async () => { chrome = await browser() })
after(async () => { await chrome?.close() })

const shown = (page: Page) => page.locator('.runway .row')
const lastId = async (page: Page) => Math.max(...(await shown(page).evaluateAll((rows) => rows.map((r) => Number((r as HTMLElement).dataset.id)))))
const atBottom = (page: Page) => page.locator('.scroller').evaluate((el) => el.scrollTop + el.clientHeight >= el.scrollHeight - 2)

describe('a hundred thousand rows', () => {
  let fake: Fake
  let page: Page
  let errors: string[]

  before(async () => {
    fake = new Fake(join(process.cwd(), '..', 'dist'))
    for (let i = 1; i <= 100_000; i++) fake.exchanges.push(exchange(i, i))
    fake.seq = 100_000
    ;({ page, errors } = await open(chrome, await fake.listen()))
  })
  after(async () => {
    await page?.close()
    await fake?.close()
  })

  test('the newest stand at the bottom, and only those on the screen exist', async () => {
    await page.locator('#row-100000').waitFor()
    assert.ok(await atBottom(page))
    assert.ok((await shown(page).count()) < 60)
    await until(async () => (await page.getByRole('grid').getAttribute('aria-rowcount')) === '100001', 'the rows to be counted')
  })

  test('the tail is followed only while it is in view', async () => {
    fake.add()
    await page.locator('#row-100001').waitFor()
    assert.ok(await atBottom(page))
    await page.mouse.move(300, 400)
    await page.mouse.wheel(0, -400)
    await until(async () => !(await atBottom(page)), 'the list to leave its end')
    const first = await page.locator('.scroller').evaluate((el) => el.scrollTop)
    for (let i = 0; i < 25; i++) fake.add()
    const pill = page.getByRole('button', { name: '25 new' })
    await pill.waitFor()
    assert.equal(await page.locator('.scroller').evaluate((el) => el.scrollTop), first, 'what is read stays where it is')
    await pill.click()
    await page.locator('#row-100026').waitFor()
    await pill.waitFor({ state: 'detached' })
    assert.ok(await atBottom(page))
  })

  test('the wheel goes through the rows without a hole, the window stays small', async () => {
    await page.mouse.move(300, 400)
    for (let i = 0; i < 20; i++) await page.mouse.wheel(0, -2000)
    await until(async () => (await lastId(page)) < 99_200, 'older rows')
    const ids = await shown(page).evaluateAll((rows) => rows.map((r) => Number((r as HTMLElement).dataset.id)))
    assert.deepEqual([...ids].sort((a, b) => a - b), Array.from({ length: ids.length }, (_, i) => Math.min(...ids) + i))
  })

  test('the scroll bar reaches any part, Home and End the ends', async () => {
    await page.locator('.scroller').evaluate((el) => (el.scrollTop = el.scrollHeight / 2))
    await until(async () => { const id = await lastId(page); return id > 45_000 && id < 55_000 }, 'the middle')
    await page.locator('.scroller').evaluate((el) => (el.scrollTop = 0))
    await page.locator('#row-1').waitFor()
    await page.getByRole('grid').focus()
    await page.keyboard.press('End')
    await page.locator('#row-100026.selected').waitFor()
    await page.keyboard.press('Home')
    await page.locator('#row-1.selected').waitFor()
    for (let i = 0; i < 3; i++) await page.keyboard.press('j')
    await page.locator('#row-4.selected').waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('f')
    await page.locator('#row-100026').waitFor()
  })

  test('the selection stays under thousands of changes a second, and the page stays smooth', async () => {
    await page.keyboard.press('f')
    await page.locator('#row-100020').click()
    await page.evaluate(() => {
      const w = window as unknown as { ticks: number[]; done: boolean }
      w.ticks = []
      let last = performance.now()
      const next = (t: number) => {
        w.ticks.push(t - last)
        last = t
        if (!w.done) requestAnimationFrame(next)
      }
      requestAnimationFrame(next)
    })
    const end = Date.now() + 3000
    let sent = 0
    const start = Date.now()
    while (Date.now() < end) {
      const due = ((Date.now() - start) * 5000) / 1000
      while (sent < due) {
        fake.add()
        sent++
      }
      await new Promise((r) => setTimeout(r, 10))
    }
    const all = `${fake.exchanges.length.toLocaleString('en-US')} exchanges`
    await until(async () => (await page.locator('.status-line').innerText()).includes(all), `${all} to be counted`)
    assert.ok(await page.locator('#row-100020.selected').isVisible(), 'the selected row is where it was')
    const frames = await page.evaluate(() => {
      const w = window as unknown as { ticks: number[]; done: boolean }
      w.done = true
      return w.ticks
    })
    const sorted = [...frames].sort((a, b) => a - b)
    const p95 = sorted[Math.floor(sorted.length * 0.95)]!
    console.log(`    ${sent} changes in 3 s: ${frames.length} frames, p95 ${Math.round(p95)} ms, worst ${Math.round(sorted[sorted.length - 1]!)} ms`)
    // A machine that does much else draws fewer frames; a page that is too slow draws hardly any.
    assert.ok(p95 < 250, `one frame in twenty took ${p95} ms`)
    await page.getByRole('button', { name: /new$/ }).click()
    await page.keyboard.press('Escape')
    const held = await page.evaluate(() => document.querySelectorAll('.runway .row').length)
    assert.ok(held < 60)
  })

  test('a gap is read up, removals are seen, another store is begun anew', async () => {
    await page.keyboard.press('f')
    const last = fake.exchanges[fake.exchanges.length - 1]!.id
    await page.locator(`#row-${last}`).waitFor()
    // Changes that the stream leaves out and then tells of.
    const from = fake.seq
    const quiet = fake.exchanges[fake.exchanges.length - 3]!
    Object.assign(quiet, { seq: ++fake.seq, mark: 'changed in the gap' })
    fake.exchanges.push(exchange(last + 1, ++fake.seq))
    fake.send({ type: 'gap', from, to: fake.seq })
    await page.locator(`#row-${last + 1}`).waitFor()
    await page.locator(`#row-${quiet.id} .mark`).waitFor()
    assert.ok(fake.asked.some((p) => p.includes(`changedAfter=${from}`)))
    fake.remove([last])
    await page.locator(`#row-${last}`).waitFor({ state: 'detached' })
    // A server that comes back with another store.
    const port = fake.port
    await fake.close()
    await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor()
    fake.store = 'fake-2'
    fake.exchanges = [exchange(1, 1, { url: 'http://other.test/store' })]
    fake.seq = 1
    await fake.listen(port)
    await row(page, 'other.test').waitFor()
    await until(async () => (await shown(page).count()) === 1, 'the old rows to go')
    await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor({ state: 'detached' })
  })

  test('nothing raised an error', () => assert.deepEqual(errors, []))
})

describe('the real eaves, killed and started again', () => {
  let eaves: Eaves
  let plain: Origin
  before(async () => {
    plain = await origin((q, a) => { q.resume(); a.end('ok') })
    eaves = new Eaves()
    await eaves.start()
  })
  after(async () => {
    await eaves?.stop()
    await plain?.close()
  })

  test('the loss is said, the list goes on without missing or doubling anything', async () => {
    const context = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
    const { page, errors } = await open(context, eaves.url)
    for (let i = 0; i < 5; i++) await eaves.get(`${plain.url}/before-${i}`)
    await row(page, '/before-4').waitFor()
    await row(page, '/before-2').click()
    await eaves.stop('SIGKILL')
    await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor()
    assert.match(await page.locator('.status-line').innerText(), /not connected/)
    assert.ok(await row(page, '/before-4').isVisible(), 'what is shown stays')
    await eaves.start()
    for (let i = 0; i < 5; i++) await eaves.get(`${plain.url}/between-${i}`)
    // Where the new start has a new key, opening its address in any tab is enough.
    const other = await context.newPage()
    await other.goto(eaves.url)
    await page.getByText('live', { exact: true }).waitFor()
    await row(page, '/between-4').waitFor()
    await eaves.get(`${plain.url}/after`)
    await row(page, '/after').waitFor()
    const urls = await page.locator('.runway .row .path').allInnerTexts()
    assert.deepEqual(urls, [...Array.from({ length: 5 }, (_, i) => `/before-${i}`), ...Array.from({ length: 5 }, (_, i) => `/between-${i}`), '/after'])
    assert.match((await page.locator('.row.selected .path').innerText()), /before-2/)
    assert.deepEqual(errors, [])
    await context.close()
  })

  test('another capture behind the same address is noticed', async () => {
    const context = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
    const { page } = await open(context, eaves.url)
    await row(page, '/after').click()
    await eaves.stop()
    await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor()
    await eaves.start(join(eaves.dir, 'other'))
    await eaves.get(`${plain.url}/elsewhere`)
    const tab = await context.newPage()
    await tab.goto(eaves.url)
    await row(page, '/elsewhere').waitFor()
    await until(async () => (await shown(page).count()) === 1, 'the rows of the old capture to go')
    await page.locator('.detail').waitFor({ state: 'detached' })
    await context.close()
  })
})
