import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nature, toUTF8 } from '../../src/lib/content.ts'
import { find, indexOf, inMemory, lastIndexOf, needle } from '../../src/lib/find.ts'
import { jsonLines, layout, lineAt, rowAt, scan, textLines, type Scanner } from '../../src/lib/lines.ts'
import { multipart } from '../../src/lib/multipart.ts'

const enc = (s: string) => new TextEncoder().encode(s)
const latin = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0))
const looks = (type: string, b: Uint8Array) => nature(type, b).looks

let seed = 5
const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n

test('every kind of body has its views, the best one first', () => {
  const cases: [string, Uint8Array, string][] = [
    ['text/javascript', enc('a=1'.repeat(200)), 'formatted,text,hex'], ['application/javascript', enc('a = 1\n'.repeat(40)), 'text,formatted,hex'],
    ['text/css', enc('a{b:c}'.repeat(100)), 'formatted,text,hex'], ['application/graphql', enc('{ me }'), 'graphql,text,hex'],
    ['application/json', enc('{"query":"query A { b }"}'), 'graphql,json,text,hex'], ['application/json', enc('{"query":"select"}'), 'json,text,hex'],
    ['text/html', enc('<p>'), 'html,preview,text,hex'], ['application/jwt', enc(`${btoa('{"alg":"xy"}')}.e30.s`), 'token,text,hex'],
    ['application/json', enc(`{"a":"${btoa('{"alg":"xy"}')}.e30.s"}`), 'json,token,text,hex'],
    ['application/pdf', enc('%PDF-1.4 all of it text'), 'pdf,hex,text'], ['', latin('%PDF-1.7\n\xff\x00'), 'pdf,hex,text'],
    ['font/woff2', latin('wOF2\0\x01\0\0'), 'font,hex,text'], ['', latin('\0\x01\0\0\0\x0f'), 'font,hex,text'], ['audio/mpeg', latin('ID3\x03\0\0'), 'media,hex,text'], ['', latin('OggS\0\x02'), 'media,hex,text'],
    ['video/mp4', latin('\0\0\0\x18ftypmp42'), 'media,hex,text'], ['application/msgpack', latin('\x81\xa1a\x01'), 'messagepack,hex,text'], ['application/x-protobuf', latin('\x08\x96\x01'), 'protobuf,hex,text'],
    ['application/vnd.google.protobuf', latin('\x08\0'), 'protobuf,hex,text'], ['application/grpc+proto', latin('\0\0\0\0\x02\x08\x01'), 'grpc,hex,text'], ['application/grpc-web-text', enc('AAAAAAIIAQ=='), 'grpc,text,hex'],
    ['application/octet-stream', latin('\x08\x00'), 'hex,text,protobuf'], ['application/octet-stream', latin('\x92\0\x01'), 'hex,text,messagepack'], ['image/png', latin('\x89PNG\r\n\x1a\n\0'), 'image,hex,text'],
  ]
  for (const [type, b, want] of cases) assert.equal(looks(type, b).join(), want, `${type} ${JSON.stringify(String.fromCharCode(...b.subarray(0, 20)))}`)
})

test('the character set is that of the head, of a byte order mark, or the one that the body names', () => {
  assert.equal(nature('text/plain; charset=ISO-8859-1', latin('caf\xe9')).charset, 'iso-8859-1')
  assert.equal(nature('text/html', latin('<html><meta charset="windows-1252">caf\xe9')).charset, 'windows-1252')
  assert.equal(nature('application/xml', latin('<?xml version="1.0" encoding="ISO-8859-15"?><a/>')).charset, 'iso-8859-15')
  const wide = Uint8Array.from([0xff, 0xfe, ...'hé'].flatMap((c) => (typeof c === 'number' ? [c] : [c.charCodeAt(0), 0])))
  const n = nature('text/plain', wide)
  assert.deepEqual([n.charset, n.text], ['utf-16le', true])
  assert.equal(new TextDecoder().decode(toUTF8(wide, n.charset)), 'hé')
  assert.equal(nature('text/plain', enc('<meta charset=x>')).charset, '')
})

test('what is looked for is text in either case, or bytes', () => {
  assert.deepEqual(needle('Ab', false), { bytes: enc('ab'), fold: true })
  assert.deepEqual(needle('0x0D 0a', true), { bytes: Uint8Array.of(13, 10), fold: false })
  for (const bad of ['', '0', 'xy', '0d0', ' ']) assert.equal(needle(bad, true), undefined)
  const b = enc('abABabé')
  assert.equal(indexOf(b, needle('aB', false)!, 1), 2)
  assert.equal(lastIndexOf(b, needle('AB', false)!), 4)
  assert.equal(indexOf(b, needle('42', true)!, 0), 3)
  assert.equal(indexOf(b, needle('É', false)!, 0), 6)
  assert.equal(indexOf(b, needle('abc', false)!, 0), -1)
})

test('a search finds what a plain one does, in pieces, from anywhere, both ways', async () => {
  const never = new AbortController().signal
  for (let i = 0; i < 300; i++) {
    const text = Array.from({ length: random(40) }, () => 'aAbB'[random(4)]).join('')
    const what = Array.from({ length: 1 + random(3) }, () => 'ab'[random(2)]).join('')
    const from = random(text.length + 2)
    const lower = text.toLowerCase()
    const ahead = lower.indexOf(what, from)
    const back = from === 0 ? -1 : lower.lastIndexOf(what, from - 1)
    const source = inMemory(enc(text))
    assert.equal(await find(source, needle(what, false)!, from, false, never, () => {}), ahead >= 0 ? ahead : lower.indexOf(what), `${what} in ${text} from ${from}`)
    assert.equal(await find(source, needle(what, false)!, from, true, never, () => {}), back >= 0 ? back : lower.lastIndexOf(what), `${what} in ${text} before ${from}`)
  }
  // Across the border of two pieces.
  const long = new Uint8Array((2 << 20) + 100)
  long.set(enc('needle'), (2 << 20) - 3)
  let seen = 0
  assert.equal(await find(inMemory(long), needle('NEEDLE', false)!, 0, false, never, (n) => (seen = n)), (2 << 20) - 3)
  assert.equal(await find(inMemory(long), needle('absent', false)!, 50, false, never, (n) => (seen = n)), -1)
  assert.equal(seen, long.length)
  const gone = new AbortController()
  gone.abort()
  await assert.rejects(find(inMemory(long), needle('x', false)!, 0, false, gone.signal, () => {}))
})

test('the row of every byte is known', () => {
  const b = enc('{"key":"a long value that takes more than one row of twenty-four","list":[1,{"x":2}]}')
  const lines = jsonLines(b)
  const shape = layout(lines, 24, new Set())
  for (const text of ['"key"', 'a long', 'twenty-four', '"list"', '"x"']) {
    const at = new TextDecoder().decode(b).indexOf(text)
    const row = rowAt(lines, shape, 24, at)
    assert.equal(shape.line[row], lineAt(lines, at), text)
  }
  assert.equal(shape.line[rowAt(lines, shape, 24, b.indexOf(120))]! > 0, true)
  const plain = textLines(enc('one\ntwo\nthree'))
  assert.deepEqual([0, 3, 4, 9, 12].map((o) => lineAt(plain, o)), [0, 0, 1, 2, 2])
})

test('a beginning of JSON breaks only where it ends', () => {
  const whole = JSON.stringify([{ a: 'text \\" é', b: [true, null, -1.5e3], c: {} }, 'x'])
  const b = enc(whole)
  for (let n = 1; n < b.length; n++) assert.equal(jsonLines(b.subarray(0, n)).broken?.early, true, whole.slice(0, n))
  for (const wrong of ['[1,,2]   ', '{"a" 1}  ', '[1 2] ', '{"a":tru }']) assert.equal(jsonLines(enc(wrong)).broken?.early, undefined, wrong)
})

test('scanners take any bytes', () => {
  for (let i = 0; i < 3000; i++) {
    const b = Uint8Array.from({ length: random(60) }, () => (random(2) ? random(256) : '{}[]",:<>/!?-&=\\ \n\r'.charCodeAt(random(19))))
    for (const kind of ['text', 'json', 'xml'] as Scanner[]) {
      const l = scan(kind, b)
      const shape = layout(l, 24, new Set())
      if (l.count > 0) rowAt(l, shape, 24, random(b.length + 1))
    }
    nature(['', 'text/html', 'application/json', 'application/xml', 'application/octet-stream', 'text/css'][random(6)]!, b)
    multipart(b, '-')
  }
})
