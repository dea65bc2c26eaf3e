// Getting started, against the real eaves: what is to be copied, the ticks that follow a real client, other devices.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { check, schemes, sizes } from '../look.ts'
import { browser, Eaves, open, row, tlsOrigin, until, type Origin } from '../real.ts'

let eaves: Eaves
let secure: Origin & { trust: string }
let chrome: Browser
let context: BrowserContext
let page: Page
let errors: string[]

before(async () => {
  secure = await tlsOrigin((q, a) => a.end(`you asked for ${q.url}`))
  eaves = new Eaves({ SSL_CERT_FILE: secure.trust })
  await eaves.start()
  chrome = await browser()
  context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] })
  ;({ page, errors } = await open(context, eaves.url))
})

after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await secure?.close()
})

const ticks = async () => (await page.locator('.ticks .tick').allInnerTexts()).map((t) => t.replace(/\s+/g, ' '))
const ticked = (want: RegExp[]) => until(async () => {
  const got = await ticks()
  return got.length === want.length && want.every((w, i) => w.test(got[i]!))
}, `the ticks to say ${want.join(', ')}`)

test('an empty capture says how to begin, and that nothing has been reached', async () => {
  await page.getByText('Waiting for the first request').waitFor()
  await ticked([/^Connected \(waiting\)/, /^Trusted \(waiting\)/, /^First request \(waiting\)/])
  await page.getByText('eaves run --lan').waitFor()
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const size of [...sizes, { name: 'zoomed', width: 640, height: 400 }]) {
      await page.setViewportSize(size)
      await check(page, `start-empty-${size.name}-${scheme}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(sizes[0])
})

test('the variables that are copied send a shell’s curl through eaves, and make it trust', async () => {
  await page.getByRole('link', { name: 'Getting started' }).click()
  await page.getByRole('heading', { name: 'Getting started', level: 1 }).waitFor()
  await page.waitForURL(/#\/start$/)
  await page.getByLabel('Shell').selectOption('sh')
  await page.getByRole('button', { name: 'Copy the variables' }).click()
  await page.getByText('Variables copied.').waitFor()
  const script = await page.evaluate(() => navigator.clipboard.readText())
  assert.match(script, /^export https_proxy=http:\/\/127\.0\.0\.1:\d+$/m)
  const { stdout } = await promisify(execFile)('sh', ['-c', `${script}\nNO_PROXY= no_proxy= curl -sS --max-time 10 ${secure.url}/copied`])
  assert.equal(stdout, 'you asked for /copied')
  await ticked([/^Connected \(done\) this machine/, /^Trusted \(done\)/, /^First request \(done\) 1 recorded/])
})

test('the ticks follow a client that does not trust yet, step by step', async () => {
  // Another eaves: this one has seen a client already.
  const fresh = new Eaves({ SSL_CERT_FILE: secure.trust })
  await fresh.start()
  const { page: theirs, errors: wrong } = await open(context, fresh.url)
  const first = page
  page = theirs
  try {
    await theirs.getByText('Waiting for the first request').waitFor()
    await theirs.evaluate(() => (location.hash = '#/start'))
    await ticked([/waiting/, /waiting/, /waiting/])
    assert.match(await fresh.curl('--cacert', secure.trust, `${secure.url}/`), /certificate/i)
    await ticked([/^Connected \(done\) this machine/, /^Trusted \(refused\) this machine does not trust the certificate/, /waiting/])
    await theirs.getByText('eaves ca install').first().waitFor()
    assert.match(await theirs.getByRole('region', { name: 'What has been reached' }).getByRole('status').innerText(), /Trusted: no/)
    await check(theirs, 'start-refused-wide-light')
    assert.equal(await fresh.curl(`${secure.url}/now`), 'you asked for /now')
    await ticked([/done/, /^Trusted \(done\)/, /^First request \(done\)/])
    await check(theirs, 'start-done-wide-light')
    await theirs.keyboard.press('Escape')
    await row(theirs, '/now').waitFor()
    assert.deepEqual(wrong, [])
  } finally {
    page = first
    await theirs.close()
    await fresh.stop()
  }
})

test('the page is found through the palette, and by its address', async () => {
  await page.evaluate(() => (location.hash = '#/'))
  await row(page, '/copied').waitFor()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('getting')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Getting started', level: 1 }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'Getting started', level: 1 }).waitFor()
  await page.emulateMedia({ colorScheme: 'dark' })
  await check(page, 'start-page-wide-dark')
  assert.deepEqual(errors, [])
})

test('with --lan a device finds the page by a code', async (t) => {
  const outside = Object.values(networkInterfaces()).flat().find((i) => i && !i.internal && i.family === 'IPv4')
  if (!outside) return t.skip('this machine is in no network')
  const lan = new Eaves({ EAVES_LAN: 'true' })
  await lan.start()
  const { page: theirs, errors: wrong } = await open(chrome, lan.url)
  try {
    const code = theirs.getByRole('img', { name: /^QR code of http:\/\// })
    await code.waitFor()
    const url = (await code.getAttribute('aria-label'))!.replace('QR code of ', '')
    // --lan takes clients of private networks only; a machine in no such one reaches the page as itself.
    const at = new URL(url)
    if (!/^(10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(at.hostname)) at.hostname = '127.0.0.1'
    assert.match(await (await fetch(at)).text(), /certificate/i)
    await code.scrollIntoViewIfNeeded()
    await check(theirs, 'start-lan-wide-light')
    await theirs.setViewportSize(sizes[1])
    await code.scrollIntoViewIfNeeded()
    await check(theirs, 'start-lan-narrow-light')
    assert.deepEqual(wrong, [])
  } finally {
    await theirs.close()
    await lan.stop()
  }
})
