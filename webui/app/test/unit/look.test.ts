import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Summary } from '../../src/api/types.ts'
import { fix } from '../../src/lib/fix.ts'
import { brushed, has, stretchTerm, terms, without, withTerm } from '../../src/lib/terms.ts'
import { columns, fit, move, read, resize, template, toggle, usual } from '../../src/model/columns.ts'
import { exchange } from '../fake.ts'

const ids = (list: readonly { id: string }[]) => list.map((c) => c.id).join(' ')

describe('columns', () => {
  test('what was kept is read whatever it is', () => {
    for (const kept of [undefined, null, 7, 'x', {}, [], [1, null, 'a'], [{ id: 'nothing' }]]) assert.equal(ids(read(kept)), ids(usual))
    assert.deepEqual(read([{ id: 'host', width: 5 }, { id: 'host' }, { id: 'size', width: 'wide' }, { id: 'id', width: 99999 }, { id: '__proto__' }]),
      [{ id: 'host', width: 100 }, { id: 'size' }, { id: 'id', width: 1200 }])
  })
  test('they are shown, hidden, moved and resized', () => {
    assert.equal(ids(move(usual, 'client', -99)).split(' ')[0], 'client')
    assert.equal(ids(move(usual, 'status', 1)).startsWith('method status host'), true)
    assert.equal(ids(move(usual, 'id', 1)), ids(usual))
    assert.equal(ids(toggle(usual, 'id')).endsWith(' id'), true)
    assert.equal(ids(toggle(usual, 'host')).includes('host'), false)
    assert.deepEqual(toggle([{ id: 'host' }], 'host'), [{ id: 'host' }])
    assert.equal(resize(usual, 'size', 200).find((c) => c.id === 'size')!.width, 200)
    assert.equal(resize(resize(usual, 'size', 200), 'size', undefined).find((c) => c.id === 'size')!.width, undefined)
  })
  test('the least important give way, the order stays', () => {
    assert.equal(ids(fit(usual, 2000)), ids(usual))
    assert.equal(ids(fit(usual, 620)), 'status method host path size took')
    assert.equal(ids(fit(move(usual, 'took', -9), 560)), 'took status method host path')
    assert.equal(ids(fit(usual, 10)), 'status')
    for (let width = 100; width < 2000; width += 10) {
      const shown = fit(usual, width)
      assert.ok(shown.length > 0 && template(shown).split(' minmax').length === shown.length)
    }
    assert.equal(new Set(columns.map((c) => c.id)).size, columns.length)
  })
})

describe('terms of a filter', () => {
  test('are parted at white space outside of quotes and brackets', () => {
    assert.deepEqual(terms('a  host:"x y" (b or c d) -path~"^\\"q( " f(x').map((t) => t.text), ['a', 'host:"x y"', '(b or c d)', '-path~"^\\"q( "', 'f(x'])
    assert.deepEqual(terms('').length, 0)
  })
  test('are put in and taken out without touching others', () => {
    assert.equal(withTerm('', 'host:a'), 'host:a')
    assert.equal(withTerm('status:4xx  x', 'host:a'), 'status:4xx  x host:a')
    assert.equal(withTerm('host:b status:4xx', 'host:a', 'host:b'), 'status:4xx host:a')
    assert.equal(withTerm('x or y', 'host:a'), '(x or y) host:a')
    assert.equal(without('(x or y) host:a', 'host:a'), '(x or y)')
    assert.equal(without('x or host:a', 'host:a'), 'x or host:a')
    assert.equal(without('not host:a x', 'host:a'), 'not host:a x')
    assert.ok(has('x host:a', 'host:a') && !has('x host:ab', 'host:a') && !has('(host:a)', 'host:a'))
  })
  test('a stretch of time is found again', () => {
    const term = stretchTerm(1700000000123, 1700000100456)
    assert.deepEqual(brushed(`host:a ${term} x`), { term, from: 1700000000123, to: 1700000100456 })
    for (const filter of ['', 'at:10m..', `not ${term}`, `x or ${term}`, `(${term})`]) assert.equal(brushed(filter), undefined, filter)
  })
})

describe('what helps with a failure', () => {
  const failed = (error: Partial<NonNullable<Summary['error']>>, more: Partial<Summary> = {}): Summary =>
    ({ ...exchange(1, 1, { url: 'https://api.bank.test:8443/x' }), state: 'failed', response: undefined, error: { stage: 'tls', message: 'no', ...error }, ...more }) as Summary
  test('is what the hint says', () => {
    const kinds = ([
      [{ stage: 'client', hint: 'the client may pin its certificates: `eaves rule add passthrough a.test` passes it through' }, {}, 'pass', 'api.bank.test'],
      [{ stage: 'client', hint: 'install the CA in the client: `eaves ca install` here, http://eaves.test/ on other devices' }, {}, 'ca', 'api.bank.test:8443'],
      [{ hint: 'eaves trust add FILE --host a; to go on without verification: eaves tls set a --verify off' }, {}, 'trust', 'api.bank.test:8443'],
      [{ hint: 'eaves tls set a --min 1.0' }, {}, 'tls', 'api.bank.test:8443'],
      [{ hint: 'eaves cert add a --cert FILE --key FILE' }, {}, 'certificate', 'api.bank.test:8443'],
      [{ message: 'handshake failure' }, { certificate: 'asked' }, 'certificate', 'api.bank.test:8443'],
      [{ message: 'unknown CA' }, { certificate: 'rejected' }, 'certificate', 'api.bank.test:8443'],
      [{ stage: 'proxy', message: 'proxy p:3128 wants authentication: 407' }, {}, 'credentials', 'api.bank.test:8443'],
      [{ stage: 'dns', message: 'no such host' }, {}, 'try', 'api.bank.test:8443'],
    ] as const)
    for (const [error, more, kind, host] of kinds) assert.deepEqual([fix(failed(error, more))?.kind, fix(failed(error, more))?.host], [kind, host], JSON.stringify(error))
  })
  test('nothing, where nothing failed or nobody here can help', () => {
    assert.equal(fix(exchange(1, 1)), undefined)
    assert.equal(fix(failed({ stage: 'http', message: 'cut' })), undefined)
    assert.equal(fix({ ...exchange(1, 1), certificate: 'asked' }), undefined)
    const refused = { ...exchange(1, 1, { status: 403 }), certificate: 'asked' }
    assert.equal(fix(refused)?.kind, 'certificate')
    assert.equal(fix({ ...refused, source: 'replay' }), undefined, 'a replay may have been told to send none')
    const receipt = (explanation: string) => ({
      tls: { version: '', cipherSuite: '', alpn: '', serverName: '', resumed: false, verified: true, verifyError: '', peerCertificates: null, clientCertificate: { requested: true, acceptableCAs: null, verdict: 'no-rule', explanation } },
    })
    assert.equal(fix({ ...refused, source: 'replay', ...receipt('The server asked for a client certificate; this request was to send none, so none was sent.') }), undefined)
    assert.equal(fix({ ...refused, source: 'replay', ...receipt('The server asked for a client certificate; none is configured for a.test, so none was sent.') })?.kind, 'certificate')
    assert.equal(fix(exchange(1, 1, { status: 407, answeredBy: 'origin' })), undefined)
    assert.equal(fix(exchange(1, 1, { status: 407, answeredBy: 'proxy' }))?.kind, 'credentials')
  })
})
