// A route through a corporate proxy from end to end: set in the console, real curl through the real eaves and a tinyproxy
// that wants a password, the way that is drawn, and what is said once the password is wrong.

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { answers, browser, Eaves, free, open, origin, row, temporary, until, type Origin } from '../real.ts'

describe('a route through a proxy', () => {
  let proxy: ChildProcess
  let server: Origin
  let eaves: Eaves
  let chrome: Browser
  let page: Page
  let errors: string[]
  let port = 0
  /** What the origin was asked for, with the proxies that said so. */
  const asked: { path: string; via: string; credentials: string }[] = []

  before(async () => {
    port = await free()
    const conf = join(temporary(), 'tinyproxy.conf')
    writeFileSync(conf, `Port ${port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 20\nBasicAuth alice sesame\n`)
    proxy = spawn('tinyproxy', ['-d', '-c', conf], { stdio: 'ignore' })
    const failed = new Promise<never>((_, no) => proxy.once('error', no))
    await Promise.race([failed, until(() => answers(port), 'the proxy to listen')])
    server = await origin((q, a) => {
      asked.push({ path: q.url!, via: String(q.headers.via ?? ''), credentials: String(q.headers['proxy-authorization'] ?? '') })
      a.setHeader('Content-Type', 'text/plain')
      a.end('from the origin')
    })
    eaves = new Eaves()
    await eaves.start()
    chrome = await browser()
    ;({ page, errors } = await open(chrome, eaves.url))
  })
  after(async () => {
    await chrome?.close()
    await eaves?.stop()
    await server?.close()
    proxy?.kill()
  })

  const dialog = () => page.getByRole('dialog').last()
  const closed = () => page.getByRole('dialog').waitFor({ state: 'detached' })
  const curl = (path: string) => eaves.curl('-w', ' %{http_code}', server.url + path)
  const way = async () => (await page.getByRole('list', { name: 'The way this exchange took' }).getByRole('listitem').allInnerTexts()).map((t) => t.replace(/\s+/g, ' ').trim())
  const settings = async () => {
    await page.keyboard.press('s')
    await page.getByRole('heading', { name: 'Routes', exact: true }).waitFor()
  }

  test('it is tried before it is kept: with a wrong password, and with the right one', async () => {
    await page.keyboard.press('s')
    await page.getByRole('link', { name: 'Routes' }).click()
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog().getByLabel('Host', { exact: true }).fill('127.0.0.1')
    await dialog().getByLabel('First proxy').fill(`http://127.0.0.1:${port}`)
    await dialog().getByLabel('User').fill('alice')
    for (const [password, end] of [['aladdin', 'failed'], ['sesame', 'fine']] as const) {
      await dialog().getByLabel('Password', { exact: true }).fill(password)
      await dialog().getByRole('button', { name: 'Test', exact: true }).click()
      await dialog().getByLabel('Address').fill(`${server.url}/tried-${end}`)
      await dialog().getByRole('button', { name: 'Test', exact: true }).click()
      await dialog().locator('.failure').waitFor()
      assert.equal(/\bfine\b/.test((await dialog().locator('.failure').getAttribute('class'))!), end === 'fine', await dialog().innerText())
      if (end === 'failed') assert.match(await dialog().innerText(), /wants authentication[\s\S]*user alice/)
      assert.ok(!(await dialog().innerText()).includes(password), 'the password is in what is said')
      await page.keyboard.press('Escape')
    }
    assert.deepEqual(asked.map((q) => q.path), ['/tried-fine'])
    await dialog().getByRole('button', { name: 'Add route' }).click()
    await closed()
    await page.getByRole('row', { name: /127\.0\.0\.1/ }).getByText('as alice, password from vault:').waitFor()
  })

  test('a request goes through it; the way is drawn with the authentication', async () => {
    await page.keyboard.press('s')
    assert.match(await curl('/through'), /from the origin 200$/)
    const seen = asked.at(-1)!
    assert.match(seen.via, /tinyproxy/)
    assert.equal(seen.credentials, '', 'credentials reached the origin')
    await row(page, '/through').click()
    await page.getByRole('list', { name: 'The way this exchange took' }).waitFor()
    const said = await way()
    assert.match(said[4]!, new RegExp(`^HTTP proxy 127\\.0\\.0\\.1:${port} .*basic authentication`))
    assert.match(said[6]!, /^origin.*answered 200/)
    await page.getByRole('tab', { name: 'Route' }).click()
    for (const want of ['a route of yours', 'basic']) await page.locator('.route').getByText(want).first().waitFor()
    assert.ok(!(await page.content()).includes('sesame'))
  })

  test('with a wrong password the proxy’s refusal is told from the origin’s answer, and explained', async () => {
    await settings()
    await page.getByRole('button', { name: 'Change the route for 127.0.0.1' }).click()
    await dialog().getByLabel('Password', { exact: true }).fill('stale')
    await dialog().getByRole('button', { name: 'Save' }).click()
    await closed()
    await page.keyboard.press('s')
    const before = asked.length
    const got = await curl('/refused')
    assert.equal(asked.length, before, 'the origin was asked')
    assert.doesNotMatch(got, /from the origin/)
    await row(page, '/refused').click()
    await page.getByRole('tab', { name: 'Overview' }).click()
    const detail = page.locator('#detail')
    await detail.getByText('wants authentication').first().waitFor()
    const text = await detail.innerText()
    for (const want of ['failed at the parent proxy', 'The client was told 502 by eaves', 'nothing that was tried for the user alice', 'eaves route add 127.0.0.1 --first', 'a proxy on the way']) assert.ok(text.includes(want), `${want} is not in ${text}`)
    assert.ok(!(await page.content()).includes('stale'))
    await row(page, '/refused').getByText('by proxy').waitFor()
    const said = await way()
    // Tinyproxy says 401 to a wrong password, and 407 to none.
    assert.match(said[4]!, /^HTTP proxy .*answered 40[17] basic authentication here it ended/)
    assert.match(said[6]!, /not reached/)
  })

  test('switched off, the next request goes directly', async () => {
    await settings()
    await page.getByRole('switch', { name: 'Use the route for 127.0.0.1' }).click({ force: true })
    await page.locator('tr.off').waitFor()
    await page.keyboard.press('s')
    assert.match(await curl('/direct'), /from the origin 200$/)
    assert.equal(asked.at(-1)!.via, '')
    await row(page, '/direct').click()
    await until(async () => (await way()).length === 5, 'the direct way to be drawn')
  })

  test('nothing raised an error or met the content security policy', () => assert.deepEqual(errors, []))
})
