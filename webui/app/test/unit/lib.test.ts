import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../src/api/types.ts'
import { invalidAt, isText, nature, toUTF8 } from '../../src/lib/content.ts'
import { base64, curl, quote, unbase64 } from '../../src/lib/curl.ts'
import { clock, duration, plural, size, sizeBeside, typeName } from '../../src/lib/format.ts'
import { headerLines, parseHeaders } from '../../src/lib/headers.ts'
import { multipart, parameter } from '../../src/lib/multipart.ts'
import { told as parted } from '../../src/lib/cause.ts'
import { cause, outcome, phases, story } from '../../src/lib/story.ts'
import { form, hostname, oneScheme, parts, query } from '../../src/lib/url.ts'
import { clip, hidden, pieces, visible } from '../../src/lib/visible.ts'
import { columnOf } from '../../src/api/client.ts'
import { exchange } from '../fake.ts'
import { execFileSync } from 'node:child_process'

const bytes = (s: string) => new TextEncoder().encode(s) as Uint8Array<ArrayBuffer>

test('a whole address put behind a scheme has one scheme', () => {
  for (const [text, want] of [
    ['https://https://a.test/', 'https://a.test/'], ['https://http://a.test/', 'http://a.test/'], ['https://', 'https://'], ['a.test', 'a.test'],
    ['https://a.test/?to=https://b.test/', 'https://a.test/?to=https://b.test/'], ['https://a.test/https://b.test/', 'https://a.test/https://b.test/'],
  ] as const) assert.equal(oneScheme(text), want)
})

test('sizes that read the same and are not are told to the byte', () => {
  for (const [of, n, want] of [[1127, 1130, '1,130 B (+3 B)'], [1130, 1127, '1,127 B (−3 B)'], [1127, 1127, '1.1 KB'], [1127, 5000, '4.9 KB'], [-1, -1, '–'], [undefined, 12, '12 B']] as const) assert.equal(sizeBeside(of, n), want)
})

test('sizes', () => {
  for (const [n, want] of [[-1, '–'], [0, '0 B'], [1023, '1023 B'], [1024, '1 KB'], [1536, '1.5 KB'], [10 * 1024, '10 KB'], [1023 * 1024, '1 MB'], [52428800, '50 MB'], [5 * 2 ** 40, '5 TB']] as const) {
    assert.equal(size(n), want)
  }
})

test('durations', () => {
  for (const [n, want] of [[-1, '–'], [0, '0 ms'], [0.28, '0.28 ms'], [1.26, '1.3 ms'], [34.4, '34 ms'], [999.4, '999 ms'], [999.6, '1 s'], [1234, '1.2 s'], [59_949, '60 s'], [185_000, '3 min 5 s'], [60_000, '1 min'], [7_380_000, '2 h 3 min']] as const) {
    assert.equal(duration(n), want)
  }
})

test('words', () => {
  assert.equal(plural(1, 'exchange'), '1 exchange')
  assert.equal(plural(1234, 'exchange'), '1,234 exchanges')
  assert.equal(typeName('application/vnd.api+json; charset=utf-8'), 'json')
  assert.equal(typeName('text/javascript'), 'js')
  assert.equal(typeName(''), '')
  assert.match(clock('2026-01-02T03:04:05.678Z'), /^\d\d:04:05\.678$/)
  assert.equal(columnOf('column 12: what is this'), 12)
  assert.equal(columnOf('nothing'), undefined)
})

test('characters that deceive are written out', () => {
  assert.equal(visible('abc'), 'abc')
  assert.equal(visible('user\u202Egpj.exe'), 'user‹U+202E›gpj.exe')
  assert.equal(visible('a\u0000b\r\nc'), 'a‹U+0000›b\\r\\nc')
  assert.equal(visible('\u{E0041}'), '‹U+E0041›')
  assert.deepEqual(pieces('one\ntwo'), [{ text: 'one\ntwo', special: false }])
  assert.deepEqual(pieces('a\u200Bb'), [{ text: 'a', special: false }, { text: '‹U+200B›', special: true }, { text: 'b', special: false }])
  assert.deepEqual(hidden('a\u202Eb\u200Bc\u202E'), ['‹U+202E›', '‹U+200B›'])
  assert.equal(clip('abcdef', 3), 'abc…')
  assert.equal(visible('العربية 日本語 👩‍👧'), 'العربية 日本語 👩‍👧')
  assert.equal(visible('a\u200Db'), 'a‹U+200D›b')
})

test('URLs are taken apart as text', () => {
  assert.deepEqual(parts('https://h.test:8443/a?b#c'), { scheme: 'https', host: 'h.test:8443', path: '/a?b#c' })
  assert.deepEqual(parts('not a url'), { scheme: '', host: '', path: 'not a url' })
  assert.equal(hostname('https://user@h.test:8443/'), 'h.test')
  assert.equal(hostname('tcp://[::1]:22'), '[::1]')
  assert.deepEqual(query('http://h/?a=1&b=x%20y+z&c&%zz=1'), [{ name: 'a', value: '1' }, { name: 'b', value: 'x y z' }, { name: 'c', value: '' }, { name: '%zz', value: '1' }])
  assert.deepEqual(form(''), [])
})

test('curl commands mean the same to a shell', () => {
  for (const s of ['plain', `it's`, 'a b', '$HOME `x` "q" \\', 'tab\there', 'line\nbreak', '\u0001', 'ü', '', '!x', `$'\u0007`]) {
    assert.equal(execFileSync('bash', ['-c', `printf %s ${quote(s)}`]).toString(), s, JSON.stringify(s))
  }
  const x: Exchange = exchange(7, 1, { url: 'https://h.test/a?b=1&c=[2]' })
  x.request.method = 'PUT'
  x.request.headers = [{ name: 'Host', value: 'h.test' }, { name: 'X-A', value: `it's` }, { name: 'Content-Length', value: '3' }, { name: 'Empty', value: '' }, { name: 'Accept', value: '*/*' }, { name: 'User-Agent', value: 'u' }, { name: 'Content-Type', value: 'text/plain' }]
  assert.equal(curl(x, bytes('a\nb')), [
    `curl 'https://h.test/a?b=1&c=[2]'`, `-X PUT`, `-H 'X-A: it'\\''s'`, `-H 'Empty;'`, `-H 'Accept: */*'`, `-H 'User-Agent: u'`, `-H 'Content-Type: text/plain'`, `--data-binary 'a\nb'`, '--globoff',
  ].join(' \\\n  '))
  assert.match(curl(x, new Uint8Array([0, 255])), /^echo AP8= \| base64 -d \| curl .*[\s\S]*--data-binary @-/)
  assert.match(curl(x, new Uint8Array(1 << 20)), /--data-binary @request-7\.body/)
  assert.deepEqual([...unbase64(base64(new Uint8Array([0, 1, 254, 255])))], [0, 1, 254, 255])
})

test('headers are edited as lines', () => {
  const was = [{ name: 'X-Latin', value: 'café', raw: 'Y2Fm6Q==' }, { name: 'x-a', value: '' }, { name: 'x-a', value: 'b: c' }]
  assert.equal(headerLines(was), 'X-Latin: café\nx-a: \nx-a: b: c')
  assert.deepEqual(parseHeaders(headerLines(was), was), [was[0], { name: 'x-a', value: '' }, { name: 'x-a', value: 'b: c' }])
  assert.deepEqual(parseHeaders('X-Latin: cafe\r\n\nN:v', was), [{ name: 'X-Latin', value: 'cafe' }, { name: 'N', value: 'v' }])
  assert.throws(() => parseHeaders('A: b\nno colon', was), /Line 2 .*no colon/)
})

test('multipart bodies are found by their boundary', () => {
  const type = 'multipart/form-data; boundary="a b"'
  const body = bytes('preamble\r\n--a b\r\nContent-Disposition: form-data; name="x\\"y"\r\n\r\none\r\n--a b\r\ncontent-type: image/png\r\nContent-Disposition: form-data; name=f; filename="p.png"\r\n\r\n\r\n--a b--\r\n')
  const { parts: found, complete } = multipart(body, parameter(type, 'boundary'))
  assert.equal(complete, true)
  assert.deepEqual(found.map((p) => [p.name, p.filename, p.type, new TextDecoder().decode(body.subarray(p.start, p.end))]), [['x"y', '', '', 'one'], ['f', 'p.png', 'image/png', '']])
  assert.deepEqual(multipart(bytes('--x\r\n\r\ncut'), 'x').complete, false)
  assert.deepEqual(multipart(bytes('nothing'), 'x').parts, [])
})

test('the nature of a body', () => {
  const looks = (type: string, body: string | Uint8Array<ArrayBuffer>) => nature(type, typeof body === 'string' ? bytes(body) : body).looks
  assert.deepEqual(looks('application/json', '{}'), ['json', 'text', 'hex'])
  assert.deepEqual(looks('application/problem+json; charset=utf-8', '{}'), ['json', 'text', 'hex'])
  assert.deepEqual(looks('text/plain', '{"a":1}'), ['json', 'text', 'hex'])
  assert.deepEqual(looks('text/plain', '{not json at all}'), ['text', 'hex'])
  assert.deepEqual(looks('', '<!DOCTYPE html><p>'), ['html', 'preview', 'text', 'hex'])
  assert.deepEqual(looks('application/octet-stream', new Uint8Array([0, 1, 2])), ['hex', 'text'])
  assert.deepEqual(looks('application/x-www-form-urlencoded', 'a=b'), ['form', 'text', 'hex'])
  assert.deepEqual(looks('multipart/form-data; boundary=x', '--x'), ['parts', 'text', 'hex'])
  assert.deepEqual(looks('text/html', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0])), ['image', 'hex', 'text'])
  assert.deepEqual(looks('image/svg+xml', '<svg/>'), ['image', 'xml', 'text', 'hex'])
  assert.equal(isText(bytes('caf\u00e9'), ''), true)
  assert.equal(new TextDecoder().decode(toUTF8(new Uint8Array([0xe9]), 'iso-8859-1')), 'é')
  assert.equal(new TextDecoder().decode(toUTF8(new Uint8Array([0xe9]), 'no-such-charset')), '�')
})

test('where bytes stop being UTF-8', () => {
  assert.equal(invalidAt(bytes('aé日👍')), -1)
  assert.equal(invalidAt(new Uint8Array([97, 0xe9, 98])), 1)
  assert.equal(invalidAt(new Uint8Array([97, 0xe6, 0x97])), -1, 'a cut character at the end is no mistake')
  assert.equal(invalidAt(new Uint8Array([0xed, 0xa0, 0x80])), 0, 'surrogates are not')
  assert.equal(invalidAt(new Uint8Array([0xc0, 0x80])), 0)
})

test('what happened, in words', () => {
  const x = exchange(1, 1, { url: 'https://h.test/a' })
  assert.equal(outcome(x), 'ok')
  assert.equal(story(x, 0), 'h.test answered 200 OK in 6 ms, 20 B of json, over HTTP/1.1 and TLS.')
  const blocked = { ...x, answeredBy: 'eaves', response: { ...x.response!, status: 403, statusText: 'Forbidden', headers: [{ name: 'Proxy-Status', value: String.raw`eaves; error=http_request_denied; details="blocked by rule 2 (comment:\"a b\")"` }] } }
  assert.equal(story(blocked, 0), 'Eaves itself (not h.test) answered 403 Forbidden in 6 ms: blocked by rule 2 (comment:"a b").')
  assert.equal(story({ ...blocked, answeredBy: 'origin' }, 0), 'h.test answered 403 Forbidden in 6 ms, 20 B of json, over HTTP/1.1 and TLS.')
  assert.equal(story({ ...x, answeredBy: 'proxy', response: { ...x.response!, status: 407, statusText: '' } }, 0), 'A proxy on the way (not h.test) answered 407 in 6 ms, 20 B of json, over HTTP/1.1 and TLS.')
  const open = { ...x, state: 'open' as const, response: undefined, time: -1, startedDateTime: new Date(0).toISOString() }
  assert.equal(outcome(open), 'open')
  assert.equal(story(open, 3200), 'GET was sent to h.test; no answer yet, for 3.2 s.')
  const failed = { ...x, state: 'failed' as const, response: undefined, error: { stage: 'dns', message: 'no such host' } }
  assert.equal(outcome(failed), 'failed')
  assert.equal(cause(failed), 'no such host')
  assert.equal(cause({ ...failed, error: { stage: 'connect', message: 'connecting to h.test:443 (192.0.2.1): refused' } }), 'refused')
  const told = (stage: string, message: string, url = 'https://h.test/a') => cause({ ...failed, request: { ...failed.request, url }, error: { stage, message } })
  assert.equal(told('tls', 'TLS with h.test:443 (through http proxy 127.0.0.1:3128): the certificate is issued for x'), 'the certificate is issued for x')
  assert.equal(told('tls', 'TLS with h.test:443 (::1): the server asked for a client certificate and does not accept "ex pired" (rule *.test:443): it expired on 2026-11-28; it ended the connection'), 'certificate rejected: it expired on 2026-11-28; it ended the connection')
  assert.equal(told('tls', 'TLS with h.test:443 (::1): the server asked for a client certificate, and none is configured for h.test:443; it refused'), 'client certificate wanted, none configured; it refused')
  assert.equal(told('proxy', 'http proxy 127.0.0.1:3128: it wants authentication (basic), and nothing pleased it'), 'proxy wants authentication (basic), and nothing pleased it')
  assert.equal(told('proxy', 'http proxy h.test:3128: it wants authentication'), 'proxy wants authentication')
  assert.equal(told('proxy', 'http proxy [::1]:3128: it refused a connection to h.test:443: 403 Forbidden'), 'proxy refused: 403 Forbidden')
  assert.equal(told('proxy', 'proxy 1 of 2, https proxy gw.test:3128 cannot be reached: gw.test: name not found'), 'proxy 1 of 2 cannot be reached: name not found')
  assert.equal(told('timeout', 'socks5 proxy gw.test:1080: no answer within 5s while greeting'), 'proxy: no answer within 5s while greeting')
  assert.deepEqual(parted('http proxy [::1]:3128: it wants authentication; and more'), { where: 'http proxy [::1]:3128: ', what: 'it wants authentication', rest: '; and more' })
  assert.deepEqual(parted('proxy 1 of 2, https proxy gw.test:3128 cannot be reached: refused'), { where: 'proxy 1 of 2, https proxy gw.test:3128 ', what: 'cannot be reached: refused', rest: '' })
  assert.deepEqual(parted('TLS with h.test:443 (::1): unknown authority'), { where: 'TLS with h.test:443 (::1): ', what: 'unknown authority', rest: '' })
  assert.deepEqual(parted('no such host'), { where: '', what: 'no such host', rest: '' })
  // The row says itself that a proxy answered.
  assert.equal(cause({ ...failed, answeredBy: 'proxy', error: { stage: 'proxy', message: 'http proxy 127.0.0.1:3128: it wants authentication (basic)' } }), 'wants authentication (basic)')
  const distrust = 'the client does not trust the certificate for h.test (tls: unknown authority)'
  assert.equal(cause({ ...failed, error: { stage: 'client', message: distrust } }), distrust)
  assert.equal(story(failed, 0), 'GET to h.test failed while looking up the name after 6 ms.')
  assert.deepEqual(phases({ ...x, timings: { blocked: -1, dns: -1, connect: 5, ssl: 3, send: 0, wait: 1, receive: 2 } }).map((p) => [p.key, p.ms]), [['connect', 2], ['ssl', 3], ['send', 0], ['wait', 1], ['receive', 2]])
})
