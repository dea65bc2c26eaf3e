import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import { convert } from '../../src/lib/convert.ts'
import { basic, cookies, setCookies } from '../../src/lib/cookies.ts'
import { exact } from '../../src/lib/exact.ts'
import { isGraphQL as looks, likelyGraphQL as likely, tiles } from '../../src/lib/detect.ts'
import { format, operations } from '../../src/lib/graphql.ts'
import { frames, grpc, webText } from '../../src/lib/grpc.ts'
import { hasToken, token, tokens } from '../../src/lib/jwt.ts'
import { jsonLines } from '../../src/lib/lines.ts'
import { messagePack } from '../../src/lib/msgpack.ts'
import { Mistake, parseProto, typesOf } from '../../src/lib/proto.ts'
import { protobuf } from '../../src/lib/protobuf.ts'

const enc = (s: string) => new TextEncoder().encode(s)
const bytes = (s: string) => Uint8Array.from(s.replace(/\s+/g, '').match(/../g) ?? [], (h) => parseInt(h, 16))

let seed = 11
const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
const noise = (n: number) => Uint8Array.from({ length: n }, () => random(65536) >> 8)

/** Whatever a decoder makes of bytes is JSON that can be laid out. */
function laidOut(text: string): void {
  if (text === '') return
  const l = jsonLines(enc(text))
  assert.equal(l.broken, undefined, `${JSON.stringify(l.broken)} in ${text.slice(0, 200)}`)
}

test('MessagePack reads every kind of value', () => {
  const cases: [string, string][] = [
    ['c0', 'null'], ['c2', 'false'], ['c3', 'true'], ['07', '7'], ['ff', '-1'], ['e0', '-32'], ['cc ff', '255'], ['cd 0100', '256'], ['ce ffffffff', '4294967295'],
    ['cf ffffffffffffffff', '18446744073709551615'], ['d0 80', '-128'], ['d1 8000', '-32768'], ['d2 80000000', '-2147483648'], ['d3 8000000000000000', '-9223372036854775808'],
    ['ca 3dcccccd', '0.1'], ['cb 3fb999999999999a', '0.1'], ['cb 7ff0000000000000', '"Infinity"'], ['a3 616263', '"abc"'], ['d9 03 616263', '"abc"'], ['da 0003 616263', '"abc"'], ['db 00000003 616263', '"abc"'],
    ['c4 02 0aff', '"bytes 2: 0aff"'], ['93 01 02 03', '[1,2,3]'], ['dc 0001 c0', '[null]'], ['dd 00000000', '[]'], ['82 a161 01 a162 90', '{"a":1,"b":[]}'], ['de 0001 05 c3', '{"5":true}'], ['df 00000001 c0 c0', '{"null":null}'],
    ['d6 ff 00000000', '"1970-01-01T00:00:00Z"'], ['d7 ff 7735940065000000', '"2023-09-06T05:17:36.5Z"'], ['d4 05 07', '"extension 5, bytes 1: 07"'], ['c7 02 05 0708', '"extension 5, bytes 2: 0708"'], ['01 a161', '1\n"a"'],
  ]
  for (const [input, want] of cases) {
    const got = messagePack(bytes(input))
    assert.equal(got.broken, undefined, input)
    if (!input.startsWith('d7 ff')) assert.equal(got.text, want, input)
    else assert.match(got.text, /^"2\d{3}-\d\d-\d\dT[\d:.]+Z"$/)
    laidOut(got.text)
  }
})

test('broken MessagePack says where, and what was understood is shown', () => {
  const cases: [string, number, RegExp, string][] = [
    ['93 01 02', 3, /end inside/, '[1,2]'], ['82 a161 01 a1', 5, /end inside/, '{"a":1}'], ['a5 6162', 1, /end inside/, ''], ['92 01 c1', 2, /c1/, '[1]'], ['', 0, /no value/, ''],
    ['81 90 01', 1, /container/, '{}'], ['81 a161', 3, /end inside/, '{"a":null}'], ['dd ffffffff', 5, /end inside/, '[]'],
  ]
  for (const [input, at, why, text] of cases) {
    const got = messagePack(bytes(input))
    assert.equal(got.broken?.at, at, `${input}: ${JSON.stringify(got.broken)}`)
    assert.match(got.broken!.message, why)
    assert.equal(got.text, text, input)
  }
  const deep = messagePack(new Uint8Array(100_000).fill(0x91))
  assert.match(deep.broken!.message, /deeper than 500/)
  laidOut(deep.text)
})

const proto = `
syntax = "proto3"; // a comment; { not a block
package shop.v1;
import "google/protobuf/timestamp.proto";
option go_package = "x;y";
/* message Ghost { } */
message Order {
  option deprecated = true;
  reserved 9, 20 to 30; reserved "old";
  int64 id = 1;
  repeated Item items = 2 [(rules).x = { a: 1, b: [2] }];
  map<string, sint32> stock = 3;
  oneof pay { string card = 4; Kind kind = 5; }
  google.protobuf.Timestamp at = 6;
  repeated uint32 codes = 7;
  double total = 8;
  Nested.Deep deep = 10;
  message Item { string name = 1; float price = 2; bytes raw = 3; bool sold = 4; fixed64 big = 5; }
  message Nested { message Deep { sfixed32 n = 1; optional .shop.v1.Order order = 2; } }
}
enum Kind { option allow_alias = true; UNKNOWN = 0; CASH = 1 [deprecated = true]; NEGATIVE = -1; }
message message { string option = 1; string message = 2; }
service Shop { option x = 1; rpc Buy (Order) returns (stream Order.Item) { option (http) = { get: "/v1" }; } rpc List(stream .shop.v1.Order) returns (Missing); }
`

test('.proto files are read: names, numbers, scopes, maps, services', () => {
  const s = parseProto(proto)
  assert.deepEqual(typesOf(s).filter((n) => !n.endsWith('.entry')), ['shop.v1.Order', 'shop.v1.Order.Item', 'shop.v1.Order.Nested', 'shop.v1.Order.Nested.Deep', 'shop.v1.message'])
  const order = s.messages.get('shop.v1.Order')!
  assert.deepEqual([...order.values()].map((f) => `${f.number} ${f.name} ${f.type} ${f.kind}${f.repeated ? ' *' : ''}`), [
    '1 id int64 scalar', '2 items shop.v1.Order.Item message *', '3 stock shop.v1.Order.stock.entry message *', '4 card string scalar', '5 kind shop.v1.Kind enum',
    '6 at google.protobuf.Timestamp message', '7 codes uint32 scalar *', '8 total double scalar', '10 deep shop.v1.Order.Nested.Deep message',
  ])
  assert.equal(s.messages.get('shop.v1.Order.Nested.Deep')!.get(2)!.type, 'shop.v1.Order')
  assert.deepEqual(s.enums.get('shop.v1.Kind'), new Map([[0, 'UNKNOWN'], [1, 'CASH'], [-1, 'NEGATIVE']]))
  assert.deepEqual(s.methods.get('shop.v1.Shop/Buy'), { input: 'shop.v1.Order', output: 'shop.v1.Order.Item' })
  assert.deepEqual([...s.messages.get('shop.v1.message')!.values()].map((f) => f.name), ['option', 'message'])
  const old = parseProto('message A { required int32 a = 1 [default = -5]; optional group G = 2 { optional string b = 3; } extensions 100 to max; } extend A { optional X x = 100; } message X {}')
  assert.deepEqual([...old.messages.get('A')!.values()].map((f) => `${f.name} ${f.type}`), ['a int32', 'G A.G', 'x X'])
  assert.deepEqual(parseProto('message A { Nowhere n = 1; }').missing, ['Nowhere'])
})

test('a mistake in a .proto file is said with its line', () => {
  const cases: [string, number][] = [['message A {\n int32 a = x;\n}', 2], ['message A {\n\n', 3], ['\nmessge A {}', 2], ['message A { int32 a = 1 }', 1], ['message A {\n "text" }', 2], ['message A {\n\u0001}', 2]]
  for (const [text, line] of cases) {
    assert.throws(() => parseProto(text), (e: unknown) => e instanceof Mistake && e.line === line, `${JSON.stringify(text)}`)
  }
  assert.throws(() => parseProto('message A { '.repeat(5000)), Mistake)
})

// The examples of https://protobuf.dev/programming-guides/encoding/, and one message with everything.
test('Protocol Buffers without a schema are shown by number and by what they look like', () => {
  const cases: [string, string][] = [
    ['08 9601', '{"1 varint":150}'], ['12 07 74657374696e67', '{"2 string":"testing"}'], ['1a 03 08 96 01', '{"3 message":{"1 varint":150}}'], ['32 06 03 8e02 9ea705', '{"6 bytes":"bytes 6: 038e029ea705"}'],
    ['08 ffffffffffffffffff01', '{"1 varint":18446744073709551615}'], ['0d 0000c03f', '{"1 fixed32":1.5}'], ['09 000000000000f83f', '{"1 fixed64":1.5}'], ['0b 10 05 0c', '{"1 group":{"2 varint":5}}'], ['', '{}'], ['0a 00', '{"1 string":""}'],
    ['0d ffffffff', '{"1 fixed32":4294967295}'],
  ]
  for (const [input, want] of cases) {
    const got = protobuf(bytes(input))
    assert.deepEqual([got.text, got.broken], [want, undefined], input)
  }
})

test('Protocol Buffers with a schema have names and types', () => {
  const s = parseProto(proto)
  const order = bytes(`08 ffffffffffffffffff01  12 0f 0a 03 746561 15 0000c03f 1a 01 ff 20 01
    1a 05 0a 01 61 10 03  28 01  32 04 08 00 10 64  3a 03 01 9601  41 000000000000f83f  52 05 0d ffffffff  78 07`)
  const got = protobuf(order, s, 'shop.v1.Order')
  assert.deepEqual([got.broken, got.text], [undefined, '{"id":-1,"items":{"name":"tea","price":1.5,"raw":"bytes 1: ff","sold":true},"stock":{"key":"a","value":-2},"kind":"CASH","at":"1970-01-01T00:00:00.0000001Z","codes":[1,150],"total":1.5,"deep":{"n":-1},"15 varint":7}'])
  assert.equal(protobuf(bytes('28 09'), s, 'shop.v1.Order').text, '{"kind":9}')
})

test('broken Protocol Buffers say where', () => {
  const cases: [string, number, RegExp][] = [
    ['08', 1, /integer/], ['0a 05 61', 1, /5 bytes long, and 1 are left/], ['09 00', 1, /end inside/], ['00', 0, /number 0/], ['0c', 0, /group ends/], ['0b 08 01', 3, /inside a group/], ['0e', 0, /wire type 6/], ['08 01 0a ff', 3, /length/],
  ]
  for (const [input, at, why] of cases) {
    const got = protobuf(bytes(input))
    assert.equal(got.broken?.at, at, `${input}: ${JSON.stringify(got)}`)
    assert.match(got.broken!.message, why)
    laidOut(got.text)
  }
})

test('a message nested ten thousand deep is shown so far, at once', () => {
  let inner = bytes('08 01')
  const sized = (n: number) => (n < 128 ? [n] : n < 16384 ? [n & 127 | 128, n >> 7] : [n & 127 | 128, n >> 7 & 127 | 128, n >> 14])
  const heads: number[][] = []
  let size = inner.length
  for (let i = 0; i < 10_000; i++) {
    const head = [0x0a, ...sized(size)]
    heads.unshift(head)
    size += head.length
  }
  inner = Uint8Array.from([...heads.flat(), ...inner])
  const start = Date.now()
  const got = protobuf(inner)
  assert.ok(Date.now() - start < 2000)
  assert.match(got.text, /"1 bytes":"bytes /)
  laidOut(got.text)
  laidOut(protobuf(new Uint8Array(50_000).fill(0x0b)).text)
})

test('gRPC messages are unframed, decompressed and decoded', async () => {
  const message = bytes('12 07 74657374696e67')
  const framed = (flags: number, b: Uint8Array) => Uint8Array.from([flags, 0, 0, b.length >> 8, b.length & 255, ...b])
  const zipped = new Uint8Array(gzipSync(message))
  const body = Uint8Array.from([...framed(0, message), ...framed(1, zipped), ...framed(0, new Uint8Array()), ...framed(0x80, enc('grpc-status: 0\r\n'))])
  const got = await grpc(body, { coding: 'gzip', json: false })
  assert.deepEqual(JSON.parse(got.text), {
    'message 1, 9 bytes': { '2 string': 'testing' }, [`message 2, ${zipped.length} bytes, gzip`]: { '2 string': 'testing' }, 'message 3, 0 bytes': {}, 'end, 16 bytes': 'grpc-status: 0\r\n',
  })
  const typed = await grpc(framed(0, message), { coding: '', json: false, schema: parseProto('message M { string x = 2; }'), type: 'M' })
  assert.equal(typed.text, '{"message 1, 9 bytes":{"x":"testing"}}')
  assert.match((await grpc(framed(1, message), { coding: 'snappy', json: false })).text, /compressed as snappy, which is not undone/)
  assert.match((await grpc(framed(1, message), { coding: 'gzip', json: false })).text, /does not decode as gzip/)
  const bomb = new Uint8Array(gzipSync(new Uint8Array(20 << 20)))
  const long = Uint8Array.from([1, bomb.length >> 24, bomb.length >> 16, bomb.length >> 8, bomb.length, ...bomb].map((c) => c & 255))
  assert.match((await grpc(long, { coding: 'gzip', json: false })).text, /grows to more than 16 MB/)
  assert.deepEqual(frames(body.subarray(0, 16)).broken, { at: 14, message: 'the bytes end inside the head of a message' })
  assert.equal(frames(Uint8Array.from([0, 0, 0, 1, 0, 1])).broken?.at, 0)
  const text = enc(Buffer.from(framed(0, message)).toString('base64') + Buffer.from(framed(0x80, enc('a: b'))).toString('base64'))
  assert.deepEqual(frames(webText(text)).frames.map((f) => [f.flags, f.end - f.start]), [[0, 9], [0x80, 4]])
})

test('noise and mutilated messages never throw, never hang, and always lay out', async () => {
  const s = parseProto(proto)
  const start = Date.now()
  const good = bytes('08 01 12 0f 0a 03 746561 15 0000c03f 1a 01 ff 20 01 28 01 3a 03 01 9601')
  const packed = bytes('83 a161 93 01 02 c0 a162 cb 3fb999999999999a a163 81 01 c4 02 0aff')
  for (let i = 0; i < 1500; i++) {
    const mutated = (b: Uint8Array) => { const c = b.slice(); for (let k = 0; k <= random(3); k++) c[random(c.length)] = random(256); return c }
    for (const b of [noise(random(80)), mutated(good), mutated(packed)]) {
      laidOut(messagePack(b).text)
      laidOut(protobuf(b).text)
      laidOut(protobuf(b, s, 'shop.v1.Order').text)
      tiles(b, 0, b.length)
      frames(b)
      if (i % 20 === 0) laidOut((await grpc(b, { coding: 'gzip', json: false })).text)
    }
    const words = ['message', 'enum', '{', '}', 'A', '=', '1', ';', 'oneof', 'map', '<', '>', ',', '"', '/*', '//', 'rpc', '(', ')', 'service', '[', ']', '-', '{a', '"""', '$x', '...', '@', '#', ':', '\n']
    const text = Array.from({ length: random(30) }, () => words[random(words.length)]).join(' ')
    try { parseProto(text) } catch (e) { assert.ok(e instanceof Mistake, `${text}: ${e}`) }
    format(text)
    tokens(`eyJ${text}.eyJ${text}.`)
    operations(text, true)
  }
  assert.ok(Date.now() - start < 20_000, `${Date.now() - start} ms`)
})

const part = (v: unknown) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url')

test('JSON Web Tokens are found and read, with times in words', () => {
  const now = Date.parse('2026-06-01T12:00:00Z')
  const jwt = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'ada', exp: now / 1000 + 3600, iat: now / 1000 - 86400 * 3, admin: true, list: [1] })}.c2ln`
  const [t, ...more] = tokens(`Bearer ${jwt}; other=${jwt}`, now)
  assert.equal(more.length, 0)
  assert.deepEqual(t!.header.map((c) => [c.name, c.value]), [['alg', 'HS256'], ['typ', 'JWT']])
  assert.equal(t!.state, 'valid')
  assert.match(t!.note, /signature is not checked/)
  assert.match(t!.claims.find((c) => c.name === 'exp')!.words!, /, in 1 h$|, in 60 min$/)
  assert.match(t!.claims.find((c) => c.name === 'iat')!.words!, /, 3 days ago$/)
  assert.equal(t!.claims.find((c) => c.name === 'list')!.value, '[1]')
  assert.equal(token(`${part({ alg: 'x' })}.${part({ exp: 1 })}.s`, now).state, 'expired')
  assert.equal(token(`${part({ alg: 'x' })}.${part({ nbf: now })}.s`, now).state, 'early')
  assert.match(token(`${part({ alg: 'none' })}.${part({})}.`, now).note, /no signature/)
  assert.match(token(`${part({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`, now).note, /encrypted/)
  assert.match(token(`${part({ alg: 'x' })}.${part('[1]')}.s`, now).note, /no JSON object/)
  assert.match(token(`${part({ alg: 'x' })}.${part({ a: 'x'.repeat(1 << 20) })}.s`, now).note, /not taken apart/)
  assert.match(token(`${part({ alg: 'x' })}.${part('{"a":' + '['.repeat(20000) + '}')}.s`, now).note, /no JSON object/)
  assert.equal(tokens(`eyJhYmMi.eyJhYmMi.x ${part({ no: 'algorithm' })}.${part({})}.x`).length, 0)
  assert.equal(hasToken(`{"access_token":"${jwt}"}`), true)
  assert.equal(hasToken('eyJ.eyJ.eyJ'), false)
})

test('cookies and credentials are read as browsers read them', () => {
  const f = (name: string, value: string) => ({ name, value })
  assert.deepEqual(cookies([f('Cookie', 'a=1; b=x%20y;c="q"; =z; d'), f('cookie', 'e=5')]), [
    f('a', '1'), f('b', 'x y'), f('c', '"q"'), f('', 'z'), f('', 'd'), f('e', '5'),
  ])
  assert.deepEqual(setCookies([f('Set-Cookie', 'sid=abc%; Path=/; HttpOnly'), f('X', 'y'), f('set-cookie', 'b=2')]), [f('sid', 'abc%\nPath=/; HttpOnly'), f('b', '2')])
  assert.deepEqual(basic([f('Authorization', `Basic ${Buffer.from('ada:se:cret').toString('base64')}`)]), [f('User', 'ada'), f('Password', 'se:cret')])
  assert.deepEqual(basic([f('Authorization', 'Basic !!!'), f('Authorization', 'Bearer x')]), [])
})

test('GraphQL is laid out a line for each field', () => {
  const query = 'query Get($id: ID!, $n: [Int!] = [1,2]) @live { me: user(id: $id, opts: {a: 1, b: "x{y"}) { ...F @include(if: true) name(first: 3) ... on Admin { rights } ... { z } } } fragment F on User { id # why\n age }'
  assert.equal(format(query), `query Get($id: ID!, $n: [Int!] = [1, 2]) @live {
  me: user(id: $id, opts: {a: 1, b: "x{y"}) {
    ...F @include(if: true)
    name(first: 3)
    ... on Admin {
      rights
    }
    ... {
      z
    }
  }
}

fragment F on User {
  id
  # why
  age
}`)
  assert.equal(format('{ a ; b }'), '{ a ; b }')
  const [o] = operations(JSON.stringify({ query: '{me{id}}', operationName: null, variables: { n: 1 } }).replace('"n":1', '"n":12345678901234567890'), false)
  assert.equal(o!.query, '{\n  me {\n    id\n  }\n}')
  assert.match(o!.variables, 'rawJSON' in JSON ? /"n": 12345678901234567890\n/ : /"n": 12345678901234567000\n/)
  assert.equal(operations('[{"query":"query A{a}"},{"query":"mutation B{b}"},3]', false).map((x) => x.name).join(), 'A,B')
  assert.ok(likely('{"operationName":"x","query":"\\n  query x { a }"}') && likely('{"query":"{a}"}') && !likely('{"query":"select * from x"}'))
  assert.ok(looks('query { a }') && looks('{ me }') && !looks('query builder') && !looks('{"a":1}'))
})

test('numbers keep their digits where the browser can', () => {
  const v = exact('{"a":1,"b":[true,"x"],"__proto__":2}') as Record<string, unknown>
  assert.deepEqual(Object.entries(v).map(([k]) => k), ['a', 'b', '__proto__'])
})

test('scripts and style sheets are laid out', async () => {
  const js = await convert(enc('function f(a){if(a){return 1}return 2}'), { to: 'script' })
  assert.equal(js.text, 'function f(a) {\n  if (a) {\n    return 1\n  }\n  return 2\n}')
  const css = await convert(enc('a{color:red;margin:0}b{x:y}'), { to: 'style' })
  assert.match(css.text, /^a \{\n {2}color: red;\n {2}margin: 0\n\}/)
})
