import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ClientCertificate, Exchange } from '../../src/api/types.ts'
import { commonName, expiry, receiptLine, shown } from '../../src/lib/certificate.ts'
import { certificateCommand, defaultRouteCommand, trialCommand, policyCommand, routeCommand, trustCommand, wayTrialCommand } from '../../src/lib/command.ts'
import { exampleURL, meaning, patternFor, patternProblem } from '../../src/lib/pattern.ts'
import { policyProblems, policyWords, words } from '../../src/lib/policy.ts'
import { sort, whatIs } from '../../src/lib/upload.ts'
import { proxyProblem, readVia, viaWords, wayProblem, withCredentials, writeVia } from '../../src/lib/via.ts'
import { draw } from '../../src/lib/way.ts'
import { format, parse } from '../../src/model/location.ts'
import { moved } from '../../src/ui/settings/WayEditor.tsx'
import { exchange } from '../fake.ts'
import { certificate } from '../fakesettings.ts'

test('host patterns: what is right passes, what is wrong is said', () => {
  for (const good of ['api.example.com', '*.example.com', '*', 'a:8443', 'a:*', '*:8443', '10.0.0.0/8', '10.1.2.3', '[2001:db8::1]', '[2001:db8::1]:443', '[::1]:*', '2001:db8::1', 'büro.example', 'api.example.com.']) {
    assert.equal(patternProblem(good), '', good)
  }
  for (const bad of ['', ' ', 'https://a.test/', 'a.test/path', 'a b', 'a:0', 'a:65536', 'a:x', ':443', 'a*.test', '*.*.test', 'user@a', 'a..b', '[::1', '[::1]x', '2001:db8::1:zz', 'a.test?x=1']) {
    assert.notEqual(patternProblem(bad), '', bad)
  }
  assert.match(patternProblem('https://api.bank.test:8443/x'), /api\.bank\.test:8443/)
})

test('the pattern for a URL names its host and a port other than 443', () => {
  assert.equal(patternFor('https://API.bank.test/x?y=//z:1'), 'api.bank.test')
  assert.equal(patternFor('https://api.bank.test:443/'), 'api.bank.test')
  assert.equal(patternFor('https://u:p@api.bank.test:8443/'), 'api.bank.test:8443')
  assert.equal(patternFor('https://[::1]:8443/'), '[::1]:8443')
  assert.equal(exampleURL('*.bank.test'), 'https://www.bank.test/')
  assert.equal(exampleURL('api.bank.test:8443'), 'https://api.bank.test:8443/')
  assert.equal(exampleURL('api.bank.test:*'), 'https://api.bank.test/')
  assert.equal(exampleURL('*'), '')
  assert.equal(exampleURL('10.0.0.0/8'), '')
})

test('a pattern is told in words, its port as the page counts it', () => {
  assert.equal(meaning('a.test', false), 'Just a.test, port 443 only.')
  assert.equal(meaning('a.test', true), 'Just a.test, any port.')
  assert.equal(meaning('*.a.test:*', false), 'Every host below a.test, not a.test itself, any port.')
  assert.equal(meaning('*:8443', false), 'Every host, port 8443 only.')
  assert.equal(meaning('[::1]:8443', false), 'Just [::1], port 8443 only.')
  assert.equal(meaning('2001:db8::1', false), 'Just 2001:db8::1, port 443 only.')
  assert.equal(meaning('https://a', false), '')
})

test('the countdown of a certificate', () => {
  const now = Date.parse('2026-01-10T12:00:00Z')
  const at = (from: string, until: string) => expiry(from, until, now)
  assert.deepEqual(at('2025-01-01', '2026-04-20T12:00:01Z'), { level: 'good', text: 'good for 100 days' })
  assert.deepEqual(at('2025-01-01', '2026-02-08T12:00:01Z'), { level: 'soon', text: 'expires in 29 days' })
  assert.deepEqual(at('2025-01-01', '2026-01-11T12:00:00Z'), { level: 'soon', text: 'expires in 1 day' })
  assert.deepEqual(at('2025-01-01', '2026-01-10T15:30:00Z'), { level: 'soon', text: 'expires in 3 hours' })
  assert.deepEqual(at('2025-01-01', '2026-01-10T12:00:00Z'), { level: 'over', text: 'expired today' })
  assert.deepEqual(at('2025-01-01', '2026-01-08T11:00:00Z'), { level: 'over', text: 'expired 2 days ago' })
  assert.deepEqual(at('2026-01-12T12:00:00Z', '2027-01-01'), { level: 'early', text: 'not valid for another 2 days' })
  assert.deepEqual(at('2025-01-01', '2036-01-10'), { level: 'good', text: 'good for 10 years' })
})

test('the common name of a subject', () => {
  assert.equal(commonName('CN=alice,O=Bank'), 'alice')
  assert.equal(commonName('O=Bank, CN = Alice B'), 'Alice B')
  assert.equal(commonName('CN=Smith\\, Alice,O=x'), 'Smith, Alice')
  assert.equal(commonName('O=Bank'), 'O=Bank')
  assert.equal(commonName('OCN=x'), 'OCN=x')
})

const receipt = (over: Partial<ClientCertificate>): ClientCertificate => ({ requested: true, acceptableCAs: [], verdict: 'unknown', ...over })

test('what became of a client certificate, in one line', () => {
  const sent = certificate('alice', 10)
  assert.equal(receiptLine(receipt({ requested: false, verdict: 'not-requested' })), 'no certificate asked for')
  assert.equal(receiptLine(receipt({ verdict: 'no-rule' })), 'certificate asked for, none sent')
  assert.equal(receiptLine(receipt({ sent })), 'certificate alice sent')
  assert.equal(receiptLine(receipt({ sent, verdict: 'accepted' })), 'certificate alice sent, accepted')
  assert.equal(receiptLine(receipt({ sent, verdict: 'rejected', alert: 'unknown_ca' })), 'certificate alice sent, rejected (unknown_ca)')
  assert.equal(receiptLine(receipt({ verdict: 'rejected', alert: 'certificate_required' })), 'certificate asked for, none sent, refused (certificate_required)')
  assert.equal(shown(receipt({ verdict: 'rejected' })), 'rejected')
})

test('ways are read and written as the API has them', () => {
  for (const via of [['direct'], ['system'], ['pac+http://wpad/x.dat'], ['http://a:1', 'socks5://b:2']]) assert.deepEqual(writeVia(readVia(via)), via)
  assert.deepEqual(writeVia(readVia(['none'])), ['direct'])
  assert.deepEqual(writeVia(readVia(null)), ['direct'])
  assert.deepEqual(writeVia({ kind: 'proxies', pac: '', proxies: [' http://a:1 ', ''] }), ['http://a:1'])
  for (const good of ['http://a:3128', 'https://[::1]:1', 'socks5://user@a:1', 'socks4a://a', 'HTTP://a/']) assert.equal(proxyProblem(good), '', good)
  for (const bad of ['', 'a:3128', 'ftp://a', 'http://', 'http://:1', 'http://a/x', 'http://u:p@a', 'http://a:70000', 'http://a,http://b']) assert.notEqual(proxyProblem(bad), '', bad)
  assert.match(proxyProblem('http://u:secret@a'), /password/)
  assert.equal(wayProblem({ kind: 'proxies', pac: '', proxies: [''] }), 'Add a proxy.')
  assert.notEqual(wayProblem({ kind: 'pac', pac: ' ', proxies: [] }), '')
  assert.deepEqual(withCredentials(['http://a:1', 'socks5://bob@b:2', 'pac+http://wpad/x.dat', 'direct'], 'CORP\\alice', 'p@ss/w:rd'), ['http://CORP%5Calice:p%40ss%2Fw%3Ard@a:1', 'socks5://bob@b:2', 'pac+http://wpad/x.dat', 'direct'])
  assert.deepEqual(withCredentials(['http://a:1'], '', 'x'), ['http://a:1'])
  assert.equal(viaWords(['http://a:1', 'socks5://b:2']), 'http://a:1 → socks5://b:2')
  assert.deepEqual(moved([1, 2, 3], 0, 2), [2, 3, 1])
  assert.deepEqual(moved([1, 2, 3], 2, 0), [3, 1, 2])
})

test('TLS policies are checked while they are typed', () => {
  const base = { enabled: true, host: 'a', min: '', max: '', ciphers: [], alpn: [], verify: null, serverName: '', renegotiation: 'never' }
  assert.ok(policyProblems(base).empty)
  assert.match(policyProblems({ ...base, min: '1.3', max: '1.2' }).max!, /1\.3/)
  assert.match(policyProblems({ ...base, ciphers: ['TLS_AES_128_GCM_SHA256'] }).ciphers!, /TLS 1\.3/)
  assert.match(policyProblems({ ...base, ciphers: ['RC4-MD5'] }).ciphers!, /no suite/)
  assert.match(policyProblems({ ...base, ciphers: ['TLS_RSA_WITH_AES_128_CBC_SHA'], min: '1.3' }).ciphers!, /no suite can be chosen/)
  assert.match(policyProblems({ ...base, serverName: 'a:443' }).serverName!, /port/)
  assert.ok(policyProblems({ ...base, verify: false }).note)
  assert.deepEqual(policyProblems({ ...base, min: '1.2' }), {})
  assert.deepEqual(words(' a, b\nc;;d '), ['a', 'b', 'c', 'd'])
  assert.deepEqual(policyWords({ ...base, min: '1.2', max: '1.2', verify: false, alpn: ['h2'] }), ['TLS 1.2 only', 'certificates not verified', 'ALPN h2'])
})

test('forms show the command that does the same', () => {
  assert.equal(certificateCommand({ host: '*.bank.test' }, { pfx: 'my key.p12' }), "eaves cert add '*.bank.test' --pfx 'my key.p12'")
  assert.equal(certificateCommand({ host: 'a', certificateFile: '/c.pem', keyFile: '/k.pem', for: 'proxy' }), 'eaves cert add a --cert /c.pem --key /k.pem --proxy')
  assert.equal(certificateCommand({}), 'eaves cert add HOST --pfx FILE.p12')
  assert.doesNotMatch(certificateCommand({ host: 'a', secret: 'hunter2' }), /hunter2/)
  assert.equal(trustCommand({ host: '*.a', file: '/ca.pem' }), "eaves trust add /ca.pem --host '*.a'")
  assert.equal(policyCommand({ enabled: true, host: 'a', min: '1.0', verify: false, alpn: ['http/1.1'], ciphers: ['X', 'Y'] }), 'eaves tls set a --min 1.0 --ciphers X,Y --alpn http/1.1 --verify off')
  assert.equal(certificateCommand({ host: 'a', pfxFile: '/a.p12', passphrase: 'env:A' }), 'eaves cert add a --pfx /a.p12 --passphrase env:A')
  assert.equal(defaultRouteCommand(['direct'], ''), "eaves route default --via direct --bypass ''")
  assert.equal(defaultRouteCommand(['system'], '<local>, .a'), "eaves route default --via system --bypass '<local>, .a'")
  assert.equal(wayTrialCommand({ url: 'https://a/', via: ['http://p:1', 'socks5://q:2'], bypass: '<local>' }), "eaves route test https://a/ --via http://p:1 --via socks5://q:2 --bypass '<local>'")
  assert.equal(trialCommand({ url: '' }, 'explain'), 'eaves explain URL')
  assert.equal(routeCommand({ host: 'a', via: ['http://p:1', 'socks5://q:2'], user: 'CORP\\alice', secret: 'hunter2' }), "eaves route add a --via http://p:1 --via socks5://q:2 --user 'CORP\\alice'")
  assert.equal(trialCommand({ url: 'https://a/', certificate: '3', via: 'http://p:1,http://q:2', verify: false }), 'eaves doctor https://a/ --cert 3 --via http://p:1,http://q:2 --verify off')
})

test('the settings have addresses', () => {
  const view = { page: 'settings', section: 'trust', filter: 'a', id: 4, tab: 'tls' } as const
  assert.equal(format(view), '#/settings/trust?filter=a&id=4&tab=tls')
  assert.deepEqual(parse(format(view)), view)
  assert.equal(parse('#/settings').section, 'certificates')
  assert.equal(parse('#/settings/nonsense').section, 'certificates')
  assert.equal(parse('#/settings/routes/').section, 'routes')
})

describe('files', () => {
  const dir = mkdtempSync(join(tmpdir(), 'eaves-files-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })
  const file = (name: string) => ({ name, bytes: new Uint8Array(readFileSync(join(dir, name))) })
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=alice', '-keyout', 'key.pem', '-out', 'cert.pem')
  openssl('pkcs12', '-export', '-inkey', 'key.pem', '-in', 'cert.pem', '-out', 'both.p12', '-passout', 'pass:x')
  openssl('x509', '-in', 'cert.pem', '-outform', 'DER', '-out', 'cert.der')
  openssl('pkcs8', '-topk8', '-in', 'key.pem', '-nocrypt', '-outform', 'DER', '-out', 'key.der')
  openssl('pkcs8', '-topk8', '-in', 'key.pem', '-outform', 'DER', '-out', 'locked.der', '-passout', 'pass:x')
  openssl('pkcs8', '-topk8', '-in', 'key.pem', '-out', 'locked.pem', '-passout', 'pass:x')
  const both = { name: 'both.pem', bytes: Buffer.concat([readFileSync(join(dir, 'key.pem')), readFileSync(join(dir, 'cert.pem'))]) }

  test('are told by their content, not by their name', () => {
    assert.equal(whatIs(file('both.p12').bytes), 'pfx')
    assert.equal(whatIs(file('cert.pem').bytes), 'certificate')
    assert.equal(whatIs(file('cert.der').bytes), 'certificate')
    assert.equal(whatIs(file('key.pem').bytes), 'key')
    assert.equal(whatIs(file('key.der').bytes), 'key')
    assert.equal(whatIs(file('locked.der').bytes), 'key')
    assert.equal(whatIs(file('locked.pem').bytes), 'key')
    assert.equal(whatIs(both.bytes), 'both')
    assert.equal(whatIs(new TextEncoder().encode('hello')), 'unknown')
    assert.equal(whatIs(new Uint8Array()), 'unknown')
    assert.equal(whatIs(new Uint8Array([0x30])), 'unknown')
  })

  test('are sorted to what the API takes, in any order', () => {
    assert.deepEqual(Object.keys(sort([file('both.p12')]).input), ['pfxData'])
    assert.deepEqual(Object.keys(sort([both]).input), ['certificateData'])
    const s = sort([file('key.pem'), file('cert.pem')])
    assert.equal(s.problem, '')
    assert.equal(Buffer.from(s.input.certificateData!, 'base64').toString(), readFileSync(join(dir, 'cert.pem'), 'utf8'))
    assert.equal(Buffer.from(s.input.keyData!, 'base64').toString(), readFileSync(join(dir, 'key.pem'), 'utf8'))
    assert.equal(s.locked, false)
    assert.equal(sort([file('locked.pem'), file('cert.pem')]).locked, true)
  })

  test('that cannot be a client certificate are said so', () => {
    assert.match(sort([file('cert.pem')]).problem, /no private key/)
    assert.match(sort([file('key.pem')]).problem, /no certificate/)
    assert.match(sort([file('both.p12'), file('cert.pem')]).problem, /Choose one/)
    assert.match(sort([{ name: 'a.txt', bytes: new TextEncoder().encode('hello') }]).problem, /a\.txt is neither/)
    assert.match(sort([{ name: 'big', bytes: new Uint8Array(300_000).fill(0x30) }]).problem, /too long/)
    assert.match(sort([]).problem, /Choose/)
  })
})

describe('the way', () => {
  const tls = { version: 'TLS 1.3', cipherSuite: 'x', alpn: 'h2', serverName: 'a', resumed: false, verified: true, verifyError: '', peerCertificates: [] }
  const hop = { kind: 'http', address: 'proxy.test:3128', dns: 1, connect: 2, status: 200, authentication: 'basic' }
  const origin = { kind: 'origin', address: 'a.test:443', dns: -1, connect: 3 }
  const make = (over: Partial<Exchange> & { url?: string; status?: number }): Exchange => exchange(1, 1, { url: 'https://a.test/', ...over })
  const titles = (x: Exchange) => draw(x)!.stations.map((s) => `${s.title} ${s.state}`)

  test('is client, eaves, hops, origin, with what is on each leg', () => {
    const x = make({ clientTLS: { version: 'TLS 1.3', cipherSuite: 'x', alpn: 'h2', serverName: 'a' }, tls: { ...tls, clientCertificate: receipt({ sent: certificate('alice', 9), verdict: 'accepted' }) }, route: { source: 'rule', hops: [hop, origin] } })
    assert.deepEqual(titles(x), ['client passed', 'eaves passed', 'HTTP proxy passed', 'origin answered'])
    const d = draw(x)!
    assert.deepEqual(d.stations[2]!.facts, ['CONNECT 200', 'basic authentication'])
    assert.deepEqual(d.legs.map((l) => l.state), ['good', 'good', 'good'])
    assert.deepEqual(d.legs[2]!.certificate, { state: 'accepted', text: 'certificate alice sent, accepted' })
    assert.ok(d.legs[2]!.facts.includes('TLS 1.3, h2'))
    assert.equal(d.legs[1]!.certificate, undefined)
  })

  test('of a replay begins at eaves', () => {
    assert.deepEqual(titles(make({ source: 'replay', route: { source: 'direct', hops: [origin] } })), ['eaves passed', 'origin answered'])
  })

  test('ends where a proxy refused, and says who answered', () => {
    const x = make({ answeredBy: 'proxy', route: { source: 'custom', hops: [{ ...hop, status: 407 }, origin] } })
    assert.deepEqual(titles(x), ['client passed', 'eaves passed', 'HTTP proxy answered', 'origin unreached'])
    assert.equal(draw(x)!.legs[2]!.state, 'idle')
    assert.deepEqual(draw(x)!.stations[2]!.facts, ['CONNECT 407', 'basic authentication', 'answered 200'])
    const plain = make({ url: 'http://a.test/', status: 403, answeredBy: 'proxy', route: { source: 'custom', hops: [hop, { ...hop, address: 'second.test:3128', status: 403 }, origin] } })
    assert.deepEqual(draw(plain)!.stations.slice(2, 4).map((s) => s.facts[0]), ['CONNECT 200', 'basic authentication'])
    assert.deepEqual(draw(plain)!.stations[3]!.facts, ['basic authentication', 'answered 403'])
  })

  test('ends at the hop that failed, also where the receipt knows no further', () => {
    const error = { stage: 'proxy', message: 'proxy.test:3128: connection refused' }
    const dead = { ...hop, connect: -1, status: 0, authentication: '' }
    assert.deepEqual(titles(make({ state: 'failed', response: undefined, answeredBy: 'eaves', error, route: { source: 'custom', hops: [dead] } })), ['client passed', 'eaves passed', 'HTTP proxy failed', 'origin unreached'])
    const x = make({ state: 'failed', error: { stage: 'connect', message: 'refused' }, answeredBy: 'eaves', route: { source: 'direct', hops: [{ ...origin, connect: -1 }] } })
    assert.deepEqual(titles(x), ['client passed', 'eaves passed', 'origin failed'])
    assert.deepEqual(draw(x)!.stations[1]!.facts, ['answered 200'])
    assert.equal(draw(x)!.legs[1]!.state, 'bad')
  })

  test('of an import is known as far as its file tells', () => {
    assert.equal(draw(make({ source: 'import' })), undefined)
    const d = draw(make({ source: 'import', route: { source: 'direct', hops: [origin] } }))!
    assert.deepEqual(d.stations.map((s) => `${s.title} ${s.state}`), ['client passed', 'eaves passed', 'origin answered'])
    assert.deepEqual(d.stations[1]!.facts, ['imported'])
    assert.ok(!d.legs[0]!.facts.includes('no TLS'), 'what is not known is not said')
  })

  test('TLS that was not verified is not drawn as good', () => {
    const d = draw(make({ tls: { ...tls, verified: false, verifyError: 'unknown authority' }, route: { source: 'direct', hops: [origin] } }))!
    assert.equal(d.legs[1]!.state, 'unsure')
    assert.ok(d.legs[1]!.facts.includes('not verified'))
  })
})
