// XML in the editor, and style sheets laid out, against the real eaves.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { check, schemes } from '../look.ts'
import { browser, Eaves, open, origin, row, until, type Origin } from '../real.ts'

const sheet = `@import url(theme.css);/* what a shop looks like */:root{--ink:#223;--gap:4px 8px}.shop,.shop>li:not(.sold,.gone){color:var(--ink);background:url(data:image/svg+xml;utf8,<svg{}>) no-repeat!important}
.shop::after{content:"} not the end {"}@media (min-width:40em){@supports (display:grid){.shop{display:grid;&:hover{gap:var(--gap)}}}}`

let eaves: Eaves
let shop: Origin
let chrome: Browser

before(async () => {
  shop = await origin((q, a) => {
    q.resume()
    a.writeHead(200, { 'Content-Type': q.url === '/shop.css' ? 'text/css' : 'text/plain' })
    a.end(q.url === '/shop.css' ? sheet : 'thanks')
  })
  eaves = new Eaves()
  await eaves.start()
  await eaves.get(`${shop.url}/shop.css`)
  await eaves.get(`${shop.url}/order`, { method: 'POST', headers: { 'Content-Type': 'application/xml' }, body: '<order id="7"><!-- two --><item>tea</item></order>' })
  chrome = await browser()
})
after(async () => {
  await chrome?.close()
  await eaves?.stop()
  await shop?.close()
})

/** compose opens the request that was sent, its body in the editor. */
async function compose(page: Page) {
  await row(page, '/order').click()
  await page.keyboard.press('e')
  const dialog = page.getByRole('dialog')
  await dialog.locator('.cm-editor').waitFor()
  return { dialog, body: dialog.getByRole('textbox', { name: 'Body' }), text: () => dialog.locator('.cm-line').allInnerTexts() }
}

test('XML is coloured, indented and checked, and ends its tags', async () => {
  const { page, errors } = await open(chrome, eaves.url)
  const { dialog, body, text } = await compose(page)
  await until(() => dialog.locator('.editor-host').evaluate((host) => {
    const colours = [...host.shadowRoot!.querySelectorAll('.cm-line span')].map((s) => getComputedStyle(s).color)
    return new Set(colours).size >= 3
  }), 'names, values and comments to be coloured')
  const type = async (keys: string) => {
    await body.press('Control+a')
    await page.keyboard.type(keys)
  }
  await type('<a><b x="1">tea')
  assert.deepEqual(await text(), ['<a><b x="1">tea</b></a>'])
  await type('<a>')
  await page.keyboard.press('Enter')
  await page.keyboard.type('<b/>')
  assert.deepEqual((await text()).slice(0, 2), ['<a>', '  <b/>'])
  await type('<a>')
  for (let i = 0; i < 4; i++) await page.keyboard.press('Delete')
  await page.keyboard.type('tea</')
  assert.deepEqual(await text(), ['<a>tea</a>'])
  await type('<a')
  await page.keyboard.type(' <')
  await dialog.getByText(/Line 1, column \d+: .*XML/).waitFor()
  assert.deepEqual(errors, [])
  await page.close()
})

test('e is not lost on a reader who is faster than the details', async () => {
  const { page, errors } = await open(chrome, eaves.url)
  let answer = () => {}
  const held = new Promise<void>((done) => (answer = done))
  let asked = false
  await page.route(/\/exchanges\/\d+$/, async (route) => {
    asked = true
    await held
    await route.continue()
  })
  await row(page, '/order').click()
  await page.keyboard.press('e')
  await until(() => asked, 'the details to be asked for')
  assert.equal(await page.getByRole('dialog').count(), 0)
  answer()
  await page.getByRole('dialog').getByLabel('URL').waitFor()
  assert.deepEqual(errors, [])
  await page.close()
})

for (const colorScheme of schemes) {
  test(`a style sheet and the editor look right, ${colorScheme}`, async () => {
    const { page, errors } = await open(chrome, eaves.url, { width: 1280, height: 800, colorScheme })
    await row(page, '/shop.css').click()
    await page.getByRole('tab', { name: 'Response' }).click()
    await page.getByText('      &:hover {').waitFor()
    for (const line of ['@import url(theme.css);', '/* what a shop looks like */', '.shop>li:not(.sold, .gone) {', '  background: url(data:image/svg+xml;utf8,<svg{}>) no-repeat !important', '  content: "} not the end {"']) {
      await page.getByText(line, { exact: true }).first().waitFor()
    }
    await check(page, `editor-style-${colorScheme}`)
    await compose(page)
    await check(page, `editor-xml-${colorScheme}`)
    assert.deepEqual(errors, [])
    await page.close()
  })
}
