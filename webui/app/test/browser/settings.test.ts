// The settings, the receipts and sending as somebody else, against a server that speaks the API: what a user sees and
// does, and what the server is asked for.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { ClientCertificate, Exchange, Hop } from '../../src/api/types.ts'
import { Fake } from '../fake.ts'
import { certificate, clientCertificate, FakeSettings, filled } from '../fakesettings.ts'
import { check, schemes, sizes } from '../look.ts'
import { browser, certificate as makeCertificate, open, row, temporary, until } from '../real.ts'

const dist = join(process.cwd(), '..', 'dist')
let chrome: Browser
before(async () => { chrome = await browser() })
after(async () => { await chrome?.close() })

const tls = { version: 'TLS 1.3', cipherSuite: 'TLS_AES_128_GCM_SHA256', alpn: 'h2', serverName: 'api.bank.test', resumed: false, verified: true, verifyError: '', peerCertificates: [certificate('api.bank.test', 80)] }
const clientTLS = { version: 'TLS 1.3', cipherSuite: 'TLS_AES_128_GCM_SHA256', alpn: 'h2', serverName: 'api.bank.test' }
const receipt = (over: Partial<ClientCertificate>): ClientCertificate => ({
  requested: true, acceptableCAs: ['CN=Bank Test CA,O=Bank', 'CN=Partner CA,O=Partner'], signatureSchemes: ['ECDSAWithP256AndSHA256', 'PSSWithSHA256'], verdict: 'accepted', ...over,
})
const proxy: Hop = { kind: 'http', address: 'proxy.corp.test:3128', dns: 1.2, connect: 3.4, status: 200, authentication: 'ntlm', responseHeaders: [{ name: 'Via', value: '1.1 squid' }] }
const socks: Hop = { kind: 'socks5', address: 'gateway.corp.test:1080', dns: -1, connect: 9 }
const origin: Hop = { kind: 'origin', address: 'api.bank.test:443', dns: -1, connect: 12 }

/** traffic has one exchange of each way that matters. */
function traffic(fake: Fake): Record<'accepted' | 'rejected' | 'norule' | 'refused' | 'chain' | 'plain', Exchange> {
  return {
    accepted: fake.add({ url: 'https://api.bank.test/accounts', clientTLS, certificate: 'accepted', route: { source: 'direct', hops: [origin] }, tls: { ...tls, clientCertificate: receipt({ rule: '*.bank.test:443', sent: certificate('alice', 200), explanation: 'The server asked for a certificate, got alice’s, and went on.' }) } }),
    rejected: fake.add({
      url: 'https://api.bank.test/audit', clientTLS, certificate: 'rejected', state: 'failed', response: undefined, answeredBy: 'eaves', error: { stage: 'tls', message: 'api.bank.test refused the client certificate: unknown CA', hint: 'use a certificate that one of the acceptable CAs has issued' },
      route: { source: 'direct', hops: [origin] },
      tls: { ...tls, clientCertificate: receipt({ rule: 'api.bank.test:443', sent: certificate('auditor', 11, 'CN=Other CA'), verdict: 'rejected', alert: 'unknown_ca', explanation: 'Its issuer is not among the CAs that the server accepts.', note: 'The renewed file could not be read; the certificate from before is still in use.' }) },
    }),
    norule: fake.add({ url: 'https://partner.test:8443/orders', status: 400, clientTLS, certificate: 'asked', route: { source: 'rule', reason: 'partner.test', hops: [proxy, { ...origin, address: 'partner.test:8443' }] }, tls: { ...tls, clientCertificate: receipt({ acceptableCAs: [], verdict: 'no-rule', explanation: 'The server asked for a certificate, and no rule names one for partner.test:8443.' }) } }),
    refused: fake.add({ url: 'https://outside.test/', status: 407, clientTLS, answeredBy: 'proxy', route: { source: 'custom', reason: '--upstream-proxy', hops: [{ ...proxy, status: 407, authentication: 'none' }, { kind: 'origin', address: 'outside.test:443', dns: -1, connect: -1 }] } }),
    chain: fake.add({ url: 'https://far.test/', clientTLS, route: { source: 'rule', reason: '*.test', hops: [proxy, socks, { ...origin, address: 'far.test:443' }] }, tls: { ...tls, verified: false, verifyError: 'certificate signed by unknown authority', clientCertificate: receipt({ requested: false, acceptableCAs: [], verdict: 'not-requested' }) } }),
    plain: fake.add({ url: 'http://plain.test/', route: { source: 'direct', hops: [{ kind: 'origin', address: 'plain.test:80', dns: 1, connect: 2 }] } }),
  }
}

describe('the settings', () => {
  let fake: Fake
  let s: FakeSettings
  let url: string
  let page: Page
  let errors: string[]
  const files = temporary()
  const pfx = join(files, 'alice.p12')

  before(async () => {
    const { key, cert } = makeCertificate(['alice'], 'Bank')
    execFileSync('openssl', ['pkcs12', '-export', '-inkey', key, '-in', cert, '-out', pfx, '-passout', 'pass:sesame'])
    fake = new Fake(dist)
    s = fake.settings
    traffic(fake)
    url = await fake.listen()
    ;({ page, errors } = await open(chrome, url))
    await row(page, '/accounts').waitFor()
  })
  after(async () => {
    await page?.close()
    await fake?.close()
  })

  const dialog = () => page.getByRole('dialog').last()
  const drop = async (selector: string, path: string) => {
    const data = await page.evaluateHandle(({ b64, name }) => {
      const t = new DataTransfer()
      t.items.add(new File([Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))], name))
      return t
    }, { b64: readFileSync(path).toString('base64'), name: path.split('/').pop()! })
    await page.locator(selector).last().dispatchEvent('drop', { dataTransfer: data })
  }

  test('open by key, by button and by address, and go back', async () => {
    await page.keyboard.press('s')
    await page.getByRole('heading', { name: 'Client certificates' }).waitFor()
    await page.waitForURL(/#\/settings\/certificates/)
    await page.keyboard.press('4')
    await page.getByRole('heading', { name: 'Routes', exact: true }).waitFor()
    await page.waitForURL(/#\/settings\/routes/)
    await page.keyboard.press('Escape')
    await page.getByRole('grid').waitFor()
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByRole('link', { name: 'Trust' }).click()
    await page.waitForURL(/#\/settings\/trust/)
    await page.reload()
    await page.getByRole('heading', { name: 'Trust', exact: true }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'Inventory' }).count(), 0, 'there is no inventory at this server')
  })

  test('a certificate is added by dropping a file; mistakes are shown at their field', async () => {
    await page.keyboard.press('1')
    await page.getByText('There is no client certificate yet').waitFor()
    await drop('.section .drop', pfx)
    await dialog().getByText('PKCS#12: certificate and key').waitFor()
    const host = dialog().getByLabel('Host', { exact: true })
    await host.fill('https://api.bank.test/')
    await dialog().getByText('Only the host counts: api.bank.test').waitFor()
    assert.equal(await host.getAttribute('aria-invalid'), 'true')
    await host.fill('api.bank.test')
    await dialog().getByText('Just api.bank.test, port 443 only.').waitFor()
    assert.match(await dialog().locator('.command code').innerText(), /^eaves cert add api\.bank\.test --pfx alice\.p12/)
    const secret = dialog().getByLabel('Passphrase', { exact: true })
    assert.equal(await secret.getAttribute('type'), 'password')
    await secret.fill('wrong')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await dialog().getByText('the passphrase does not open the file').waitFor()
    assert.equal(await secret.getAttribute('aria-invalid'), 'true')
    await secret.fill('sesame')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await page.getByRole('table', { name: 'Client certificates' }).getByText('api.bank.test').first().waitFor()
    const sent = s.sent.at(-1)!
    assert.equal(sent.path, '/client-certificates')
    assert.equal(sent.body.secret, 'sesame')
    assert.equal(sent.body.pfxData, readFileSync(pfx).toString('base64'))
    assert.deepEqual([sent.body.host, sent.body.for], ['api.bank.test', 'origin'])
    assert.doesNotMatch(await page.content(), /sesame/)
  })

  test('what the server says against a host stands at the host', async () => {
    await page.keyboard.press('a')
    await dialog().locator('input[type=file]').setInputFiles(pfx)
    await dialog().getByLabel('Host', { exact: true }).fill('refused.test')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await dialog().getByText('refused.test is no host pattern').waitFor()
    assert.equal(await dialog().getByLabel('Host', { exact: true }).getAttribute('aria-invalid'), 'true')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('a certificate is added by path, with a reference for its passphrase', async () => {
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog().getByLabel('Host', { exact: true }).fill('*.partner.test:8443')
    await dialog().getByLabel('Shown to').selectOption('proxy')
    await dialog().getByRole('button', { name: 'By path' }).click()
    await dialog().getByLabel('Certificate (PEM)').fill('/home/ada/c.pem')
    await dialog().getByLabel('Key, if').fill('/home/ada/k.pem')
    await dialog().getByRole('button', { name: 'Use a reference' }).click()
    await dialog().getByLabel('Reference to the passphrase').fill('env:PASS')
    await dialog().getByRole('button', { name: 'Add certificate' }).click()
    await page.getByText('/home/ada/c.pem and /home/ada/k.pem').waitFor()
    assert.deepEqual(s.sent.at(-1)!.body, { host: '*.partner.test:8443', for: 'proxy', name: '', certificateFile: '/home/ada/c.pem', keyFile: '/home/ada/k.pem', passphrase: 'env:PASS' })
    await page.getByText('for proxies').waitFor()
  })

  test('it is switched off, changed, and removed after a question', async () => {
    const line = page.getByRole('row', { name: /\*\.partner\.test/ })
    // What is on the page is a drawn switch; the control lies over it.
    await line.getByRole('switch').click({ force: true })
    await until(() => s.certificates[1]!.enabled === false, 'the certificate to be off')
    await line.getByRole('button', { name: /^Change/ }).click()
    await dialog().getByLabel('Host', { exact: true }).fill('*.partner.test')
    await dialog().getByRole('button', { name: 'Save' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    assert.deepEqual(s.sent.at(-1)!.body, { host: '*.partner.test', for: 'proxy', name: '' })
    await line.getByRole('button', { name: /^Remove/ }).click()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    assert.equal(s.certificates.length, 2)
    await line.getByRole('button', { name: /^Remove/ }).click()
    await dialog().getByRole('button', { name: 'Remove' }).click()
    await until(() => s.certificates.length === 1, 'it to be gone')
    await line.waitFor({ state: 'detached' })
  })

  test('an address is tested, stage by stage as they end', async () => {
    s.stages = filled().stages
    s.hold = true
    await page.getByRole('button', { name: /^Test .* for api\.bank\.test/ }).click()
    assert.equal(await dialog().getByLabel('Address').inputValue(), 'https://api.bank.test/')
    await dialog().getByRole('button', { name: 'Test', exact: true }).click()
    await dialog().getByText('alert unknown_ca').waitFor()
    await dialog().getByText('under way').waitFor()
    assert.equal(await dialog().locator('.failure').count(), 0)
    s.release!()
    await dialog().getByText('does not accept certificates of').waitFor()
    await dialog().getByText('under way').waitFor({ state: 'detached' })
    assert.deepEqual(s.sent.at(-1), { method: 'POST', path: '/doctor', body: { url: 'https://api.bank.test/', certificate: String(s.certificates[0]!.id) } })
    await page.keyboard.press('Escape')
    s.hold = false
  })

  test('what would be done is explained, without connecting', async () => {
    await page.keyboard.press('t')
    await dialog().getByRole('button', { name: 'Explain' }).click()
    await dialog().getByText('Give a whole address').waitFor()
    await dialog().getByLabel('Address').fill('https://api.bank.test/')
    const sent = s.sent.length
    await dialog().getByRole('button', { name: 'Explain' }).click()
    const said = dialog().getByRole('region', { name: 'What would be done' })
    for (const text of ['the way is direct', 'because *.bank.test:443 matches', 'is for port 8443', 'CN=Corporate Root CA', 'as usual']) await said.getByText(text).first().waitFor()
    assert.equal(s.sent.length, sent, 'nothing was sent')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('what a certificate or a server calls itself stays text, with what hides written out', async () => {
    const evil = '<img src=x onerror=alert(1)>\u202egpj'
    s.certificates.push(clientCertificate(77, { host: 'evil.test', certificate: certificate(evil, 50, `CN=${evil}`), warnings: [{ code: 'usage', message: evil }], lastRejected: { exchange: 1, time: new Date().toISOString(), host: evil, alert: evil } }))
    await page.keyboard.press('2')
    await page.keyboard.press('1')
    const line = page.getByRole('row', { name: /evil\.test/ })
    await line.waitFor()
    assert.equal(await page.locator('img').count(), 0)
    const said = await line.innerText()
    assert.match(said, /<img src=x onerror=alert\(1\)>/)
    assert.doesNotMatch(said, /\u202e/)
    await line.getByRole('button', { name: /^Remove/ }).click()
    assert.doesNotMatch(await dialog().innerText(), /\u202e/)
    await dialog().getByRole('button', { name: 'Remove' }).click()
    await line.waitFor({ state: 'detached' })
    assert.doesNotMatch(await page.locator('.toasts').innerText(), /\u202e/)
  })

  test('a CA is trusted by dropping it, for some hosts', async () => {
    await page.keyboard.press('2')
    await drop('.section .drop', makeCertificate(['Lab CA'], 'Lab').cert)
    await dialog().getByText('these hosts only').click()
    await dialog().getByLabel('Host', { exact: true }).fill('*.lab.test')
    await dialog().getByRole('button', { name: 'Trust it' }).click()
    await page.getByRole('table', { name: 'Trusted CAs' }).getByText('*.lab.test', { exact: true }).waitFor()
    assert.match(Buffer.from(s.sent.at(-1)!.body.data as string, 'base64').toString(), /BEGIN CERTIFICATE/)
    await page.keyboard.press('a')
    await dialog().locator('input[type=file]').setInputFiles(pfx)
    await dialog().getByText('is a PKCS#12 file').waitFor()
    await page.keyboard.press('Escape')
  })

  test('a TLS policy is checked while it is typed', async () => {
    await page.keyboard.press('3')
    await page.keyboard.press('a')
    await dialog().getByLabel('Host', { exact: true }).fill('*.old.test')
    await dialog().getByLabel('Oldest version').selectOption('1.3')
    await dialog().getByLabel('Newest version').selectOption('1.1')
    await dialog().getByText('The newest version cannot be older').waitFor()
    await dialog().getByLabel('Oldest version').selectOption('1.0')
    await dialog().getByText('cannot be older').waitFor({ state: 'detached' })
    await dialog().getByLabel(/^Cipher suites/).fill('NONSENSE')
    await dialog().getByText('NONSENSE is no suite').waitFor()
    await dialog().getByLabel(/^Cipher suites/).fill('')
    await dialog().getByLabel('Add a suite').selectOption('TLS_RSA_WITH_AES_128_CBC_SHA')
    await dialog().getByLabel('Certificates').selectOption('off')
    await dialog().getByText('Whoever is in between').waitFor()
    await dialog().getByRole('button', { name: 'Add policy' }).click()
    await page.getByText('TLS 1.0 to 1.1').waitFor()
    await page.getByText('whoever answers is believed').waitFor()
    const { host, min, max, verify, ciphers } = s.policies[0]!
    assert.deepEqual({ host, min, max, verify, ciphers }, { host: '*.old.test', min: '1.0', max: '1.1', verify: false, ciphers: ['TLS_RSA_WITH_AES_128_CBC_SHA'] })
  })

  test('a chain of proxies is put together, tried, and kept with its password', async () => {
    await page.keyboard.press('4')
    await page.getByRole('heading', { name: 'Routes', exact: true }).waitFor()
    await page.keyboard.press('a')
    await dialog().getByLabel('Host', { exact: true }).fill('*.corp.test')
    await dialog().getByLabel('First proxy').fill('proxy.corp.test:3128')
    await dialog().getByRole('button', { name: 'Add route' }).click()
    await dialog().getByText('Begin with what the proxy speaks').waitFor()
    await dialog().getByLabel('First proxy').fill('socks5://gateway.corp.test:1080')
    await dialog().getByRole('button', { name: 'Add a proxy behind it' }).click()
    await dialog().getByLabel('Then through proxy 2').fill('http://proxy.corp.test:3128')
    await dialog().getByLabel('Then through proxy 2').press('Alt+ArrowUp')
    assert.equal(await dialog().getByLabel('First proxy').inputValue(), 'http://proxy.corp.test:3128')
    await dialog().getByLabel('User').fill('CORP\\alice')
    await dialog().getByLabel('Password', { exact: true }).fill('sesame')
    await dialog().getByRole('button', { name: 'Test', exact: true }).click()
    await dialog().getByText('Through: http://proxy.corp.test:3128 → socks5://gateway.corp.test:1080').waitFor()
    await dialog().getByRole('button', { name: 'Test', exact: true }).click()
    await dialog().getByText('does not accept certificates of').waitFor()
    assert.deepEqual(s.sent.at(-1), { method: 'POST', path: '/routes/test', body: { url: 'https://www.corp.test/', via: ['http://CORP%5Calice:sesame@proxy.corp.test:3128', 'socks5://CORP%5Calice:sesame@gateway.corp.test:1080'] } })
    assert.doesNotMatch(await page.content(), /sesame/)
    assert.equal(await dialog().locator('.command code').innerText(), 'eaves route test https://www.corp.test/ --via http://proxy.corp.test:3128 --via socks5://gateway.corp.test:1080')
    await page.keyboard.press('Escape')
    await dialog().getByRole('button', { name: 'Add route' }).click()
    await page.getByText('password from vault:route-1').waitFor()
    assert.deepEqual(s.sent.at(-1)!.body, { host: '*.corp.test', via: ['http://proxy.corp.test:3128', 'socks5://gateway.corp.test:1080'], user: 'CORP\\alice', schemes: [], secret: 'sesame' })
    assert.doesNotMatch(await page.content(), /sesame/)
  })

  test('routes are put in order by buttons and by keys', async () => {
    await page.keyboard.press('a')
    await dialog().getByLabel('Host', { exact: true }).fill('10.0.0.0/8')
    await dialog().getByRole('button', { name: 'Direct', exact: true }).click()
    await dialog().getByRole('button', { name: 'Add route' }).click()
    const order = async () => (await page.locator('.ordered tbody th').allInnerTexts()).join(' ')
    await until(async () => (await order()) === '*.corp.test 10.0.0.0/8 all others', 'the new route to be last')
    await page.getByRole('button', { name: 'Move the route for 10.0.0.0/8 up' }).click()
    await until(async () => (await order()) === '10.0.0.0/8 *.corp.test all others', 'it to be first')
    assert.deepEqual(s.sent.at(-1)!.body, { position: 0 })
    await page.getByRole('button', { name: 'Test the route for 10.0.0.0/8' }).focus()
    await page.keyboard.press('Alt+ArrowDown')
    await until(async () => (await order()) === '*.corp.test 10.0.0.0/8 all others', 'it to be last again')
  })

  test('what holds for all others is set here, unless something else decides', async () => {
    const way = page.getByRole('group', { name: 'Way where no route matches' }).last()
    await way.getByRole('button', { name: 'System' }).click()
    await page.getByLabel('Bypass').fill('<local>, .corp.test')
    await page.getByRole('button', { name: 'Test before saving' }).click()
    await dialog().getByText('Through: as the system’s proxy settings say').waitFor()
    await dialog().getByLabel('Address').fill('https://a.test/')
    await dialog().getByRole('button', { name: 'Test', exact: true }).click()
    await dialog().getByText('does not accept certificates of').waitFor()
    assert.deepEqual(s.sent.at(-1), { method: 'POST', path: '/routes/test', body: { url: 'https://a.test/', via: ['system'], bypass: '<local>, .corp.test' } })
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('as the system’s proxy settings say').first().waitFor()
    assert.deepEqual(s.sent.at(-1), { method: 'PUT', path: '/routes/default', body: { upstreamProxy: ['system'], bypass: '<local>, .corp.test' } })
    s.routes.default = { upstreamProxy: ['http://flag.test:1'], bypass: '', source: 'flag', locked: true }
    await page.keyboard.press('3')
    await page.keyboard.press('4')
    await page.getByText('Locked:').waitFor()
    await page.getByText('a flag of eaves run').waitFor()
    assert.equal(await page.getByLabel('Bypass').count(), 0)
    await page.keyboard.press('Escape')
  })

  test('nothing raised an error or met the content security policy', () => assert.deepEqual(errors, []))
})

describe('receipts', () => {
  let fake: Fake
  let page: Page
  let errors: string[]
  let x: ReturnType<typeof traffic>

  before(async () => {
    fake = new Fake(dist)
    fake.settings.certificates = [clientCertificate(1, { host: '*.bank.test', name: 'Alice' }), clientCertificate(2, { host: 'api.bank.test', certificate: certificate('auditor', 11) })]
    x = traffic(fake)
    ;({ page, errors } = await open(chrome, await fake.listen()))
    await row(page, '/accounts').waitFor()
  })
  after(async () => {
    await page?.close()
    await fake?.close()
  })
  const pick = async (e: Exchange, tab: string) => {
    await page.locator(`#row-${e.id}`).click()
    await page.getByRole('tab', { name: tab }).click()
  }

  test('the list has a key with words, and says where a proxy answered', async () => {
    const words = (e: Exchange) => page.locator(`#row-${e.id} .key .offscreen`).textContent()
    assert.equal(await words(x.accepted), 'client certificate sent and accepted')
    assert.equal(await words(x.rejected), 'client certificate rejected')
    assert.equal(await words(x.norule), 'client certificate asked for, none sent')
    assert.equal(await page.locator(`#row-${x.plain.id} .key`).count(), 0)
    assert.equal(await page.locator(`#row-${x.rejected.id} .key`).getAttribute('title'), 'client certificate rejected')
    await page.locator(`#row-${x.refused.id}`).getByText('by proxy').waitFor()
  })

  test('the way is drawn, and reads as a list', async () => {
    await pick(x.norule, 'Overview')
    const way = page.getByRole('list', { name: 'The way this exchange took' })
    const said = (await way.getByRole('listitem').allInnerTexts()).map((t) => t.replace(/\s+/g, ' ').trim())
    assert.equal(said.length, 7)
    assert.match(said[0]!, /^client 127\.0\.0\.1/)
    assert.match(said[1]!, /TLS 1\.3, h2/)
    assert.match(said[2]!, /^eaves/)
    assert.match(said[3]!, /connect 3\.4 ms/)
    assert.match(said[4]!, /^HTTP proxy proxy\.corp\.test:3128 CONNECT 200 ntlm authentication/)
    assert.match(said[5]!, /certificate asked for, none sent/)
    assert.match(said[6]!, /^origin.* partner\.test:8443 answered 400/)
    await pick(x.refused, 'Overview')
    assert.match((await way.getByRole('listitem').allInnerTexts()).join(' '), /HTTP proxy[\s\S]*answered 407[\s\S]*not tried[\s\S]*origin[\s\S]*not reached/)
  })

  test('asked, and no rule: one button opens the form for that host', async () => {
    await pick(x.norule, 'TLS')
    const panel = page.locator('.tls')
    for (const text of ['Client certificate asked for, none sent', 'no rule names one for partner.test:8443', 'any will do for it', 'none matches']) await panel.getByText(text).first().waitFor()
    await panel.getByRole('button', { name: 'Add a certificate for partner.test:8443' }).click()
    const dialog = page.getByRole('dialog')
    assert.equal(await dialog.getByLabel('Host', { exact: true }).inputValue(), 'partner.test:8443')
    await page.waitForURL(/settings\/certificates/)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await page.keyboard.press('s')
  })

  test('rejected: the receipt says which, by which alert, and why', async () => {
    await pick(x.rejected, 'TLS')
    const said = await page.locator('.tls').innerText()
    for (const want of ['Client certificate rejected', 'Its issuer is not among', 'The renewed file could not be read', 'api.bank.test:443', 'CN=auditor,O=Bank', 'unknown_ca', 'CN=Partner CA,O=Partner', 'expires in 11 days']) {
      assert.ok(said.includes(want), `${want} is not in ${said}`)
    }
    await page.getByText('Signature schemes').click()
    await page.getByText('PSSWithSHA256').waitFor()
  })

  test('the route tab tells every hop', async () => {
    await pick(x.chain, 'Route')
    const said = await page.locator('.route').innerText()
    for (const want of ['a route of yours', '*.test', 'Hop 1: http proxy', 'proxy.corp.test:3128', 'ntlm', 'Hop 2: socks5 proxy', '9 ms', 'far.test:443']) assert.ok(said.includes(want), `${want} is not in ${said}`)
    await page.getByText('Header fields of its answer').click()
    await page.getByText('1.1 squid').waitFor()
    await pick(x.refused, 'Route')
    await page.getByText('407, it wants authentication').waitFor()
    await page.getByText('a proxy on the way, not the origin').waitFor()
  })

  test('a request is sent again as somebody else, another way', async () => {
    await pick(x.rejected, 'Overview')
    await page.keyboard.press('R')
    const dialog = page.getByRole('dialog')
    const who = dialog.getByLabel('Client certificate')
    await until(async () => (await who.locator('option').count()) === 4, 'the certificates to be listed')
    assert.deepEqual(await who.locator('option').allInnerTexts(), ['as the rules say', 'none', 'Alice (*.bank.test)', 'auditor (api.bank.test)'])
    await who.selectOption('1')
    await dialog.getByLabel('Route').selectOption('url')
    await dialog.getByLabel('Proxy', { exact: true }).fill('proxy.test:1')
    await dialog.getByRole('button', { name: 'Replay' }).click()
    await dialog.getByRole('alert').waitFor()
    await dialog.getByLabel('Proxy', { exact: true }).fill('http://proxy.test:1, socks5://b:2')
    await dialog.getByLabel('Origin’s certificate').selectOption('off')
    await dialog.getByRole('button', { name: 'Replay' }).click()
    await dialog.waitFor({ state: 'detached' })
    assert.deepEqual(fake.settings.sent.at(-1), { method: 'POST', path: `/exchanges/${x.rejected.id}/replay`, body: { certificate: '1', via: 'http://proxy.test:1,socks5://b:2', verify: false } })
  })

  test('an answer that comes late leaves the page that one has gone to meanwhile', async () => {
    await page.locator(`#row-${x.plain.id}`).click()
    let answer: (() => void) | undefined
    const held = new Promise<void>((done) => (answer = done))
    await page.route('**/replay', async (r) => {
      await held
      await r.continue()
    })
    await page.keyboard.press('r')
    await page.keyboard.press('s')
    await page.getByRole('heading', { name: 'Client certificates' }).waitFor()
    answer!()
    // The one with the button: what was sent before may still be told of.
    const toast = page.locator('.toast', { hasText: 'Sent again as #1.' }).filter({ has: page.getByRole('button', { name: 'Show' }) })
    await toast.waitFor()
    await page.getByRole('heading', { name: 'Client certificates' }).waitFor()
    await toast.getByRole('button', { name: 'Show' }).click()
    await page.locator('#row-1.selected').waitFor()
    await page.unroute('**/replay')
  })

  test('a new request is sent as somebody, too; by the rules unless one says otherwise', async () => {
    await page.keyboard.press('n')
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('URL').fill('https://api.bank.test/new')
    await dialog.getByLabel('Client certificate').selectOption('none')
    await dialog.getByRole('button', { name: 'Send' }).click()
    await dialog.waitFor({ state: 'detached' })
    const { body, path } = fake.settings.sent.at(-1)!
    assert.deepEqual([path, body.certificate, body.via, body.verify], ['/requests', 'none', undefined, undefined])
  })

  test('filters at hand are a key away', async () => {
    await page.keyboard.press('q')
    const list = page.getByRole('group', { name: 'Filters at hand' })
    await list.getByText('cert.asked -cert.sent').waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Escape')
    await list.waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Filters at hand' }).click()
    await list.getByRole('button', { name: /cert\.verdict:rejected/ }).click()
    await page.waitForURL(/filter=cert\.verdict/)
    assert.equal(await page.getByRole('combobox', { name: 'Filter' }).inputValue(), 'cert.verdict:rejected')
    await page.getByRole('button', { name: 'Clear the filter' }).click()
  })

  test('nothing raised an error or met the content security policy', () => assert.deepEqual(errors, []))
})

describe('how it looks', () => {
  let fake: Fake
  let url: string
  before(async () => {
    fake = new Fake(dist)
    fake.settings = filled()
    traffic(fake)
    url = await fake.listen()
  })
  after(async () => { await fake?.close() })

  for (const size of sizes) {
    for (const colorScheme of schemes) {
      test(`settings and receipts, ${size.name}, ${colorScheme}`, async () => {
        const { page, errors } = await open(chrome, url, { ...size, colorScheme })
        const name = (what: string) => `${what}-${size.name}-${colorScheme}`
        const closed = () => page.getByRole('dialog').waitFor({ state: 'detached' })
        await row(page, '/accounts').waitFor()
        await check(page, name('keys'))
        await page.getByRole('button', { name: 'Filters at hand' }).click()
        await check(page, name('quick'))
        await page.keyboard.press('Escape')
        for (const [section, wait] of [['certificates', 'Gateway'], ['trust', 'Lab CA'], ['tls', '*.old.test'], ['routes', 'partner.example'], ['inventory', 'eaves CA']] as const) {
          await page.evaluate((s) => (location.hash = `#/settings/${s}`), section)
          await page.getByText(wait).first().waitFor()
          await check(page, name(`settings-${section}`))
          if (section === 'inventory') continue
          await page.locator('.intro-line .primary').click()
          await page.getByRole('dialog').getByLabel('Host', { exact: true }).waitFor({ state: section === 'trust' ? 'detached' : 'visible' })
          if (section === 'routes') await page.getByRole('button', { name: 'Add a proxy behind it' }).click()
          await check(page, name(`form-${section}`))
          await page.keyboard.press('Escape')
          await closed()
        }
        await page.evaluate(() => (location.hash = '#/settings/routes'))
        await page.getByRole('button', { name: 'Test the route for partner.example' }).click()
        await page.getByRole('button', { name: 'Test', exact: true }).click()
        await page.getByText('does not accept certificates of').waitFor()
        await check(page, name('trial'))
        await page.getByRole('button', { name: 'Explain' }).click()
        await page.getByRole('region', { name: 'What would be done' }).waitFor()
        await check(page, name('explain'))
        await page.keyboard.press('Escape')
        await closed()
        await page.evaluate(() => (location.hash = '#/'))
        for (const [path, tabs] of [['/accounts', ['Overview', 'TLS']], ['/audit', ['Overview', 'TLS']], ['/orders', ['Overview', 'Route']], ['outside.test', ['Overview', 'Route']], ['far.test', ['Overview', 'Route']], ['plain.test', ['Overview']]] as const) {
          await page.locator('.row', { hasText: path }).last().click()
          for (const tab of tabs) {
            await page.getByRole('tab', { name: tab }).click()
            await check(page, name(`receipt-${path.replace(/\W/g, '')}-${tab.toLowerCase()}`))
          }
          await page.getByRole('tab', { name: 'Overview' }).click()
          await page.keyboard.press('Escape')
          await page.keyboard.press('Escape')
          await page.locator('.detail').waitFor({ state: 'detached' })
        }
        await page.locator('.row', { hasText: '/audit' }).last().click()
        await page.getByRole('button', { name: 'Replay as …' }).first().click()
        await check(page, name('resend'))
        await page.keyboard.press('Escape')
        assert.deepEqual(errors, [])
        await page.close()
      })
    }
  }
})
