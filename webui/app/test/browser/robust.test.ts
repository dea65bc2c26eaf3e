// The connection to a real eaves that stands still, goes on, is killed and comes back under traffic: what the list shows in
// the end is what the store holds, each exchange once and in its order.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { Summary } from '../../src/api/types.ts'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

let chrome: Browser
let plain: Origin
before(async () => {
  chrome = await browser()
  plain = await origin((q, a) => { q.resume(); a.end('ok') })
})
after(async () => {
  await chrome?.close()
  await plain?.close()
})

/** traffic asks for one address after the other until it is stopped; what fails while nobody listens is tried no more. */
function traffic(eaves: Eaves, name: string): { stop: () => Promise<number> } {
  let going = true
  let done = 0
  const run = (async () => {
    for (let i = 0; going; i++) {
      const ok = await Promise.race([eaves.get(`${plain.url}/${name}-${i}`).catch(() => 0), new Promise<number>((r) => setTimeout(() => r(0), 500))])
      if (ok === 200) done++
      await new Promise((r) => setTimeout(r, 10))
    }
    return done
  })()
  return { stop: () => { going = false; return run } }
}

/** rows scrolls through the list from its beginning and returns every id that it shows, in order of appearance. */
async function rows(page: Page): Promise<number[]> {
  await page.locator('.scroller').evaluate((el) => (el.scrollTop = 0))
  await until(() => page.locator('.runway .row').first().evaluate((r) => r.getAttribute('aria-rowindex') === '2'), 'the first row')
  return page.evaluate(async () => {
    const el = document.querySelector('.scroller')!
    const seen = new Set<number>()
    for (;;) {
      const now = [...document.querySelectorAll<HTMLElement>('.runway .row')].sort((a, b) => Number(a.getAttribute('aria-rowindex')) - Number(b.getAttribute('aria-rowindex'))).map((r) => Number(r.dataset.id))
      if (new Set(now).size !== now.length) throw new Error(`twice at once: ${now.join()}`)
      for (const id of now) seen.add(id)
      if (el.scrollTop >= el.scrollHeight - el.clientHeight - 2) return [...seen]
      el.scrollTop += el.clientHeight / 2
      await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))
    }
  })
}

/** same holds the list against the store. */
async function same(page: Page, eaves: Eaves): Promise<void> {
  const all: number[] = []
  for (;;) {
    const { exchanges } = await eaves.api<{ exchanges: Summary[] }>(`/exchanges?limit=1000&after=${all.at(-1) ?? 0}`)
    if (exchanges.length === 0) break
    all.push(...exchanges.map((x) => x.id))
  }
  const last = String(all.at(-1))
  await until(async () => {
    await page.keyboard.press('f')
    return (await page.locator('.runway .row').last().getAttribute('data-id')) === last
  }, `the newest row, ${last}`)
  await until(async () => (await page.locator('.status-line').innerText()).includes(`${all.length.toLocaleString('en-US')} exchanges`), `${all.length} exchanges to be counted`)
  assert.deepEqual(await rows(page), all)
}

describe('a connection that is lost', () => {
  let eaves: Eaves
  let context: BrowserContext
  let page: Page
  let errors: string[]
  before(async () => {
    eaves = new Eaves()
    await eaves.start()
    await eaves.get(`${plain.url}/first`)
    context = await chrome.newContext({ viewport: { width: 1280, height: 800 } })
    ;({ page, errors } = await open(context, eaves.url))
    await row(page, '/first').waitFor()
  })
  after(async () => {
    eaves?.signal('SIGCONT')
    await context?.close()
    await eaves?.stop()
  })

  test('a server that stands still and goes on loses and doubles nothing', async () => {
    for (let round = 0; round < 2; round++) {
      const t = traffic(eaves, `still-${round}`)
      await row(page, `/still-${round}-5`).waitFor()
      eaves.signal('SIGSTOP')
      await page.evaluate(() => new Promise((r) => setTimeout(r, 700)))
      eaves.signal('SIGCONT')
      const before = await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1')
      await until(async () => (await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1')).exchanges[0]!.id > before.exchanges[0]!.id + 5, 'traffic to go on')
      assert.ok((await t.stop()) > 10)
    }
    await same(page, eaves)
  })

  test('a server that is killed under traffic, and started on the same database, loses and doubles nothing', async () => {
    const ready = eaves.ready
    for (let round = 0; round < 2; round++) {
      const t = traffic(eaves, `killed-${round}`)
      await row(page, `/killed-${round}-5`).waitFor()
      await eaves.stop('SIGKILL')
      await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor()
      await eaves.start(ready.data)
      // A new start has a new key; opening its address in any tab unlocks this one.
      const other = await context.newPage()
      await other.goto(eaves.url)
      await page.getByText('live', { exact: true }).waitFor()
      await other.close()
      const { exchanges } = await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1')
      await until(async () => (await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1')).exchanges[0]!.id > exchanges[0]!.id + 5, 'traffic to go on')
      assert.ok((await t.stop()) > 5)
      await same(page, eaves)
    }
  })

  test('a start with another database under traffic is noticed: nothing of the old one stays', async () => {
    await row(page, '/killed-1').first().click()
    await page.locator('.detail').waitFor()
    await eaves.stop()
    await eaves.start(join(eaves.dir, 'another'))
    const t = traffic(eaves, 'another')
    const other = await context.newPage()
    await other.goto(eaves.url)
    await row(page, '/another-5').waitFor()
    await other.close()
    assert.ok((await t.stop()) > 5)
    await page.locator('.detail').waitFor({ state: 'detached' })
    await same(page, eaves)
    assert.equal(await page.locator('.runway .row', { hasText: 'killed' }).count(), 0)
  })

  test('nothing raised an error', () => assert.deepEqual(errors, []))
})
