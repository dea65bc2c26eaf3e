// Mutual TLS from end to end: a certificate added in the console, real curl through the real eaves to an openssl server
// that demands one, the receipt, and the same request as somebody else.

import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { browser, Eaves, free, open, row, temporary, until } from '../real.ts'

const dir = temporary()
const at = (name: string) => join(dir, name)
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })

/** authority makes a CA. */
function authority(name: string): void {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', `/CN=${name} CA/O=Test`, '-keyout', `${name}-ca.key`, '-out', `${name}-ca.pem`)
}

/** issue makes a key and a certificate of a CA. */
function issue(ca: string, name: string, usage: string, names = ''): void {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}/O=Test`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
  writeFileSync(at(`${name}.ext`), `extendedKeyUsage=${usage}\nkeyUsage=digitalSignature\n${names}`)
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}-ca.pem`, '-CAkey', `${ca}-ca.key`, '-CAcreateserial', '-days', '20', '-extfile', `${name}.ext`, '-out', `${name}.pem`)
}

describe('mutual TLS', () => {
  let server: ChildProcess
  let eaves: Eaves
  let chrome: Browser
  let page: Page
  let errors: string[]
  let port = 0
  let url = ''

  before(async () => {
    authority('bank')
    authority('other')
    issue('bank', 'server', 'serverAuth', 'subjectAltName=DNS:localhost\n')
    issue('bank', 'alice', 'clientAuth')
    issue('other', 'mallory', 'clientAuth')
    openssl('pkcs12', '-export', '-inkey', 'alice.key', '-in', 'alice.pem', '-certfile', 'bank-ca.pem', '-out', 'alice.p12', '-passout', 'pass:sesame')
    port = await free()
    url = `https://localhost:${port}`
    server = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', at('server.pem'), '-key', at('server.key'), '-CAfile', at('bank-ca.pem'), '-Verify', '1', '-verify_return_error', '-www'], { stdio: ['ignore', 'pipe', 'ignore'] })
    let said = ''
    server.stdout!.on('data', (b) => (said += b))
    await until(() => said.includes('ACCEPT') || server.exitCode !== null, 'the server to listen')
    assert.equal(server.exitCode, null)
    eaves = new Eaves()
    await eaves.start()
    chrome = await browser()
    ;({ page, errors } = await open(chrome, eaves.url))
  })
  after(async () => {
    await chrome?.close()
    await eaves?.stop()
    server?.kill()
  })

  const dialog = () => page.getByRole('dialog').last()
  const add = async (files: string[], host: string) => {
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog().locator('input[type=file]').setInputFiles(files.map(at))
    await dialog().getByLabel('Host', { exact: true }).fill(host)
  }
  const entry = (text: string) => page.getByRole('row', { name: new RegExp(text) })
  const latest = async () => (await eaves.api<{ exchanges: { id: number; state: string; certificate?: string; replayOf?: number }[] }>('/exchanges?limit=1')).exchanges[0]!
  const ended = async (after: number) => {
    let x = await latest()
    await until(async () => (x = await latest()).id > after && x.state !== 'open', 'the exchange to end')
    return x
  }

  test('what the server is signed by is trusted', async () => {
    await page.keyboard.press('s')
    await page.getByRole('link', { name: 'Trust' }).click()
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog().locator('input[type=file]').setInputFiles(at('bank-ca.pem'))
    await dialog().getByText('these hosts only').click()
    await dialog().getByLabel('Host', { exact: true }).fill('localhost')
    await dialog().getByRole('button', { name: 'Trust it' }).click()
    await page.getByRole('table', { name: 'Trusted CAs' }).getByText('CN=bank CA').first().waitFor()
  })

  test('a request without a certificate fails, and says what is missing', async () => {
    await page.keyboard.press('Escape')
    await eaves.curl(`${url}/first`)
    await row(page, '/first').waitFor()
    await row(page, '/first').click()
    await page.getByRole('tab', { name: 'TLS' }).click()
    await page.locator('.tls').getByText('none matches').waitFor()
    await page.locator('.tls').getByText('CN=bank CA').first().waitFor()
    await page.getByRole('button', { name: `Add a certificate for localhost:${port}` }).click()
    assert.equal(await dialog().getByLabel('Host', { exact: true }).inputValue(), `localhost:${port}`)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('a PFX is added; a wrong passphrase is said at its field', async () => {
    await add(['alice.p12'], 'localhost:*')
    const secret = dialog().getByLabel('Passphrase', { exact: true })
    await secret.fill('wrong')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await until(async () => (await secret.getAttribute('aria-invalid')) === 'true', 'the passphrase to be refused')
    await secret.fill('sesame')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await entry('CN=alice').waitFor()
    assert.match(await entry('CN=alice').innerText(), /expires in (19|20) days/)
    assert.doesNotMatch(readFileSync(join(eaves.ready.data, 'settings.json'), 'utf8'), /sesame/)
  })

  test('curl goes through with it, and the receipt says so', async () => {
    assert.match(await eaves.curl(`${url}/second`), /CN ?= ?alice/)
    await page.keyboard.press('Escape')
    const r = row(page, '/second')
    await r.waitFor()
    assert.equal(await r.locator('.key .offscreen').textContent(), 'client certificate sent and accepted')
    await r.click()
    await page.getByRole('tab', { name: 'Overview' }).click()
    const way = await page.getByRole('list', { name: 'The way this exchange took' }).innerText()
    assert.match(way, /client[\s\S]*eaves[\s\S]*certificate alice sent, accepted[\s\S]*origin[\s\S]*answered 200/)
    await page.getByRole('tab', { name: 'TLS' }).click()
    const said = await page.locator('.tls').innerText()
    for (const want of ['Client certificate sent and accepted', 'localhost:*', 'CN=alice', 'CN=bank CA']) assert.ok(said.includes(want), `${want} is not in ${said}`)
  })

  test('as another identity it is rejected, and the receipt says why', async () => {
    await page.keyboard.press('s')
    await page.getByRole('link', { name: 'Client certificates' }).click()
    await add(['mallory.key', 'mallory.pem'], 'localhost:*')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await entry('CN=mallory').waitFor()
    await page.keyboard.press('Escape')
    await row(page, '/second').click()
    const before = (await latest()).id
    await page.keyboard.press('R')
    const who = dialog().getByLabel('Client certificate')
    await who.locator('option', { hasText: 'mallory' }).waitFor({ state: 'attached' })
    await who.selectOption({ label: 'mallory (localhost:*)' })
    await dialog().getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const x = await ended(before)
    assert.deepEqual([x.certificate, x.state], ['rejected', 'failed'])
    await page.locator(`#row-${x.id} .key.rejected`).waitFor()
    await page.getByRole('tab', { name: 'TLS' }).click()
    await page.locator('.tls .receipt.rejected').waitFor()
    const said = await page.locator('.tls').innerText()
    for (const want of ['Client certificate rejected', 'CN=mallory', 'unknown_ca', 'CN=other CA', 'CN=bank CA']) assert.ok(said.includes(want), `${want} is not in ${said}`)
    assert.match(await page.locator('.tls .explanation').first().innerText(), /acceptable|accept|issu/i)
  })

  test('as the rules say it goes through again: the server’s CAs decide between the two', async () => {
    const before = (await latest()).id
    await page.keyboard.press('r')
    const x = await ended(before)
    assert.deepEqual([x.certificate, x.state], ['accepted', 'done'])
  })

  test('the settings show what became of each, and lead to the exchange', async () => {
    await page.keyboard.press('s')
    await entry('CN=mallory').getByText('rejected by').waitFor()
    await entry('CN=alice').getByText('accepted by').waitFor()
    await entry('CN=mallory').getByRole('button', { name: /exchange \d+/ }).click()
    await page.locator('.tls .receipt.rejected').waitFor()
  })

  test('nothing raised an error or met the content security policy', () => assert.deepEqual(errors, []))
})
