// How the console looks, in both colour schemes, wide and narrow: nothing for axe-core to find on any page, nothing that
// sticks out, and pictures of all of it in webui/app/screenshots for people to look at.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { browser, Eaves, open, origin, row, tlsOrigin, until, type Origin } from '../real.ts'
import { check, schemes, sizes } from '../look.ts'

let eaves: Eaves
let plain: Origin
let secure: Origin & { trust: string }
let chrome: Browser

before(async () => {
  const listener: Parameters<typeof origin>[0] = (q, a) => {
    q.resume()
    const status = Number(/\/status\/(\d+)/.exec(q.url!)?.[1] ?? 200)
    a.writeHead(status, { 'Content-Type': 'application/json', 'Set-Cookie': ['a=1; Path=/; HttpOnly', 'b=2'], ...(status === 302 ? { Location: '/' } : {}) })
    a.end(JSON.stringify({ user: { id: 7, name: 'Ada', roles: ['admin', 'author'] }, orders: [{ id: 1, total: 12.5, paid: true }, { id: 2, total: 99, paid: false }], next: null }))
  }
  plain = await origin(listener)
  secure = await tlsOrigin(listener)
  eaves = new Eaves({ SSL_CERT_FILE: secure.trust })
  await eaves.start()
  chrome = await browser()
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await plain?.close()
  await secure?.close()
})

for (const size of sizes) {
  for (const colorScheme of schemes) {
    test(`empty, ${size.name}, ${colorScheme}`, async () => {
      const { page, errors } = await open(chrome, eaves.url, { ...size, colorScheme })
      await page.getByText('Waiting for the first request').waitFor()
      await check(page, `empty-${size.name}-${colorScheme}`)
      assert.deepEqual(errors, [])
      await page.close()
    })
  }
}

describe('with traffic', () => {
  before(async () => {
    const dead = await origin(() => {})
    await dead.close()
    for (let i = 0; i < 12; i++) {
      await eaves.get(`${plain.url}/v1/users/${i}?page=${i}`, i % 4 === 1 ? { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name":"Ada"}' } : {})
      if (i % 5 === 0) await eaves.get(`${plain.url}/status/${[404, 503, 302][i / 5]}/of/something`)
    }
    await eaves.get(`${dead.url}/unreachable/service`)
    await eaves.curl(`${secure.url}/v1/account`)
    await eaves.curl('--cacert', secure.trust, `${secure.url}/pinned`)
    const ws = await eaves.socket(`${plain.url}/live`)
    ws.send('{"subscribe":"prices"}')
    ws.send('hello')
    await eaves.get(`${plain.url}/v1/last`)
    const first = (await eaves.api<{ exchanges: { id: number }[] }>('/exchanges?limit=1&after=0')).exchanges[0]!
    await eaves.api(`/exchanges/${first.id + 12}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: '{"mark":"marked"}' })
    await eaves.api('/rules', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ filter: 'path:/health', action: 'ignore' }) })
    await eaves.api('/rules', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ enabled: false, filter: '*.bank.test', action: 'passthrough' }) })
  })

  for (const size of sizes) {
    for (const colorScheme of schemes) {
      test(`every page, ${size.name}, ${colorScheme}`, async () => {
        const { page, errors } = await open(chrome, eaves.url, { ...size, colorScheme })
        const name = (what: string) => `${what}-${size.name}-${colorScheme}`
        const back = async () => {
          await page.keyboard.press('Escape')
          await page.keyboard.press('Escape')
          await page.locator('.detail').waitFor({ state: 'detached' })
        }
        await row(page, '/v1/last').waitFor()
        await check(page, name('list'))
        await page.keyboard.press('?')
        await page.getByRole('dialog').waitFor()
        await check(page, name('help'))
        await page.keyboard.press('Escape')
        await row(page, '/unreachable').click()
        await page.locator('.failure').waitFor()
        await check(page, name('failure'))
        await back()
        await page.locator('.row.failed', { hasText: 'localhost' }).last().click()
        await page.getByRole('button', { name: /Pass localhost/ }).waitFor()
        await check(page, name('distrust'))
        await back()
        await row(page, '/v1/users/9').click()
        for (const tab of ['Overview', 'Request', 'Response', 'Timing', 'Raw']) {
          await page.getByRole('tab', { name: tab }).click()
          if (tab === 'Response') await page.getByText('"admin"').waitFor()
          await check(page, name(tab.toLowerCase()))
        }
        await page.getByRole('tab', { name: 'Response' }).click()
        await page.getByRole('button', { name: 'Hex' }).click()
        await page.getByText('00000010').waitFor()
        await check(page, name('hex'))
        await page.keyboard.press('e')
        await page.getByRole('dialog').getByLabel('Body').waitFor()
        await check(page, name('edit'))
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
        await page.getByRole('tab', { name: 'Overview' }).click()
        await back()
        await row(page, '/v1/account').click()
        await page.getByRole('tab', { name: 'TLS' }).click()
        await check(page, name('tls'))
        await back()
        await row(page, '/live').click()
        await page.getByRole('tab', { name: 'Messages' }).click()
        await page.getByRole('region', { name: 'Messages' }).getByText('hello').first().waitFor()
        await page.getByRole('region', { name: 'Messages' }).getByText('prices').first().click()
        await page.getByRole('region', { name: 'Message 1', exact: true }).getByText('"prices"').waitFor()
        await check(page, name('messages'))
        await back()
        await page.getByRole('button', { name: 'Rules' }).click()
        await page.locator('.rules li').first().waitFor()
        await check(page, name('rules'))
        await page.keyboard.press('Escape')
        await page.getByRole('combobox', { name: 'Filter' }).fill('status:200 nosuch:field')
        await page.getByRole('alert').waitFor()
        await check(page, name('filter-problem'))
        await page.getByRole('combobox', { name: 'Filter' }).fill('')
        await page.getByRole('alert').waitFor({ state: 'detached' })
        await page.getByRole('button', { name: 'Delete what is listed' }).click()
        await page.getByRole('dialog').waitFor()
        await check(page, name('confirm'))
        await page.getByRole('button', { name: 'Cancel' }).click()
        assert.deepEqual(errors, [])
        await page.close()
      })
    }
  }

  test('at 200 % zoom everything is still there', async () => {
    // A page of 1280 zoomed to 200 % is laid out on 640.
    const { page } = await open(chrome, eaves.url, { width: 640, height: 400 })
    await row(page, '/v1/last').click()
    await page.getByRole('tab', { name: 'Response' }).click()
    await page.getByText('"admin"').waitFor()
    await check(page, 'zoomed')
    await page.getByRole('button', { name: 'Back to the list' }).click()
    await page.getByRole('grid').waitFor()
    await page.close()
  })

  test('a lost connection is said', async () => {
    const { page } = await open(chrome, eaves.url, { width: 1280, height: 800 })
    await row(page, '/v1/last').waitFor()
    await eaves.stop('SIGKILL')
    await page.locator('.banner', { hasText: 'eaves does not answer' }).waitFor()
    await check(page, 'lost')
    await until(async () => /not connected/.test(await page.title()), 'the title to say so')
    await page.close()
  })
})

test('while TLS secrets are written the console says so', async () => {
  const env: Record<string, string> = {}
  const logging = new Eaves(env)
  const file = `${logging.dir}/keys.log`
  env.SSLKEYLOGFILE = file
  await logging.start()
  try {
    const { page, errors } = await open(chrome, logging.url, { width: 1280, height: 800 })
    await page.locator('.banner', { hasText: `TLS secrets are being written to ${file}` }).waitFor()
    await check(page, 'keylog')
    assert.deepEqual(errors, [])
    await page.close()
  } finally {
    await logging.stop()
  }
})
