// What is kept and what is passed by: bypass, retention and secrets, set in the page of the real eaves and held by it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { Retention } from '../../src/api/kept.ts'
import type { Exchange, Summary } from '../../src/api/types.ts'
import { browser, Eaves, open, origin, until, type Origin } from '../real.ts'

const json = { 'Content-Type': 'application/json' }

describe('bypass, retention and secrets', () => {
  let chrome: Browser
  let eaves: Eaves
  let plain: Origin
  let page: Page
  let errors: string[]

  before(async () => {
    chrome = await browser()
    plain = await origin((q, a) => { q.resume(); a.end('x'.repeat(5000)) })
    eaves = new Eaves()
    await eaves.start()
    for (let i = 0; i < 5; i++) await eaves.get(`${plain.url}/first-${i}`)
    ;({ page, errors } = await open(chrome, eaves.url))
  })
  after(async () => {
    await page?.close()
    await eaves?.stop()
    await plain?.close()
    await chrome?.close()
  })
  const go = (section: string) => page.goto(`${eaves.ready.console}/#/settings/${section}`)
  const settings = () => JSON.parse(readFileSync(join(eaves.ready.data, 'settings.json'), 'utf8')) as { revision: number; retention?: Record<string, number>; defaultRoute?: { upstreamProxy: string[]; bypass: string } }
  const latest = async () => (await eaves.api<{ exchanges: Summary[] }>('/exchanges?limit=1')).exchanges[0]!

  test('a bypass list is made entry by entry, and tried before it is saved', async () => {
    await eaves.api('/routes/default', { method: 'PUT', headers: json, body: JSON.stringify({ upstreamProxy: ['http://127.0.0.1:1'], bypass: '' }) })
    await go('bypass')
    await page.getByText('The list is empty').waitFor()
    const add = page.getByLabel('Add an entry')
    await page.keyboard.press('a')
    await page.keyboard.type('.corp.test a..b')
    await page.getByText('a..b: Two dots').waitFor()
    assert.equal(await add.getAttribute('aria-invalid'), 'true')
    assert.ok(await page.getByRole('button', { name: 'Add', exact: true }).isDisabled())
    await add.fill('.corp.test 10.0.0.0/8')
    await page.getByText('Every host below corp.test').waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('row', { name: /10\.0\.0\.0\/8/ }).waitFor()
    const check = page.getByLabel('Is this address bypassed?')
    const verdict = page.locator('.bypass-check [role=status]')
    for (const [address, says] of [['build.corp.test', /Bypassed by \.corp\.test/], ['https://10.1.2.3:8443/x', /Bypassed by 10\.0\.0\.0\/8/], ['corp.test', /Not bypassed: reached http:\/\/127\.0\.0\.1:1/]] as const) {
      await check.fill(address)
      await until(async () => says.test(await verdict.innerText()), `${address}: ${says}`)
    }
    assert.equal(settings().defaultRoute!.bypass, '', 'nothing is saved yet')
    assert.match(await page.locator('.command code').allInnerTexts().then((t) => t.join('\n')), /eaves route default --bypass .*\.corp\.test,10\.0\.0\.0\/8[\s\S]*bypass: '\.corp\.test,10\.0\.0\.0\/8'/)
  })

  test('it holds from the next connection on, without a restart', async () => {
    const { hostname } = new URL(plain.url)
    await eaves.get(`${plain.url}/not-yet`)
    assert.equal((await latest()).state, 'failed', 'nobody is at the proxy’s address')
    await page.getByLabel('Add an entry').fill(hostname)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved. It holds from the next connection on.').waitFor()
    assert.deepEqual(settings().defaultRoute, { upstreamProxy: ['http://127.0.0.1:1'], bypass: `.corp.test,10.0.0.0/8,${hostname}` })
    assert.equal(await eaves.get(`${plain.url}/past`), 200)
    const x = await eaves.api<Exchange>(`/exchanges/${(await latest()).id}`)
    assert.equal(x.route?.reason, `bypass ${hostname}`)
    await page.getByRole('button', { name: 'Remove 10.0.0.0/8' }).click()
    await page.getByText('Not saved yet.').waitFor()
    await page.getByRole('button', { name: 'Undo changes' }).click()
    await page.getByRole('row', { name: /10\.0\.0\.0\/8/ }).waitFor()
  })

  test('a route that matches first is said to', async () => {
    await eaves.api('/routes', { method: 'POST', headers: json, body: JSON.stringify({ host: '*.corp.test', via: ['direct'] }) })
    await page.getByLabel('Is this address bypassed?').fill('https://other.corp.test/')
    await page.getByText('The bypass list is not asked').waitFor()
  })

  test('limits are checked as they are typed and hold at once', async () => {
    await go('retention')
    const keep = page.getByLabel('Keep of each body')
    assert.equal(await keep.inputValue(), '1g')
    await keep.fill('lots')
    await page.getByText('A size above 0').waitFor()
    assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled())
    await keep.fill('1000')
    await page.getByText('The first 1000 B').waitFor()
    await page.getByLabel('Age of an exchange').fill('30d')
    assert.match(await page.locator('.command code').last().locator('xpath=ancestor::section/preceding-sibling::section[1]').innerText(), /keep: 1000\s+retention:\s+maxSize: 20g\s+maxAge: 30d/)
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved. It holds from now on.').waitFor()
    assert.deepEqual(settings().retention, { keep: 1000, maxAge: 30 * 86_400_000 })
    await eaves.get(`${plain.url}/cut`)
    const x = await eaves.api<Exchange>(`/exchanges/${(await latest()).id}`)
    assert.deepEqual([x.response!.truncated, x.response!.content.size, x.response!.bodySize], [true, 1000, 5000])
  })

  test('pruning says what would go, asks, and removes it', async () => {
    const age = page.getByLabel('Older than')
    await age.fill('1h')
    await page.getByText('None is that old.').waitFor()
    await age.fill('1ms')
    await page.getByText(/\d+ exchanges would go/).waitFor()
    await page.getByRole('button', { name: /^Prune/ }).click()
    const question = page.getByRole('dialog')
    await question.getByText('This cannot be undone').waitFor()
    await question.getByRole('button', { name: 'Cancel' }).click()
    assert.ok((await eaves.api<Retention>('/retention')).stored.exchanges > 5)
    await page.getByRole('button', { name: /^Prune/ }).click()
    await question.getByRole('button', { name: 'Remove' }).click()
    await page.getByText(/Removed \d+ exchanges/).waitFor()
    await until(async () => (await page.locator('.stored dd').first().innerText()) === '0', 'the page to say that nothing is stored')
    assert.equal((await eaves.api<Retention>('/retention')).stored.exchanges, 0)
  })

  test('what a flag or the file says is locked, with its source', async () => {
    await eaves.stop()
    eaves.arguments = ['--retention-max-size', '5g']
    await eaves.start()
    await page.goto(eaves.url)
    await go('retention')
    const max = page.getByLabel('Size of the store')
    await max.waitFor()
    assert.equal(await max.inputValue(), '5g')
    assert.ok(await max.evaluate((e) => (e as HTMLInputElement).readOnly))
    await page.getByText('set by a flag of eaves run (retention.maxSize)').waitFor()
    assert.equal(await page.getByLabel('Keep of each body').inputValue(), '1000', 'what was set here was kept')
    await page.getByLabel('Keep of each body').fill('2000')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved. It holds from now on.').waitFor()
  })

  test('a secret goes in, is named, and never comes out', async () => {
    await go('secrets')
    await page.getByText('The vault is empty.').waitFor()
    await page.getByLabel('Name').fill('proxy password')
    await page.getByText('A name has letters').waitFor()
    await page.getByLabel('Name').fill('proxy-password')
    await page.getByLabel('Secret', { exact: true }).fill('sesame')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('table', { name: 'Secrets' }).getByText('vault:proxy-password').waitFor()
    assert.doesNotMatch(await page.content(), /sesame/)
    await page.getByRole('button', { name: 'Remove proxy-password' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('The vault is empty.').waitFor()
  })

  test('nothing raised an error or met the content security policy', () => assert.deepEqual(errors, []))
})
