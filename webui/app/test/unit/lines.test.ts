import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonLines, layout, textLines, whole, width, xmlLines, type Lines } from '../../src/lib/lines.ts'

const enc = (s: string) => new TextEncoder().encode(s)
const dec = (b: Uint8Array) => new TextDecoder().decode(b)

/** draw writes lines out as they are shown. */
function draw(b: Uint8Array, l: Lines): string[] {
  return Array.from({ length: l.count }, (_, i) => {
    const key = l.keyEnds[i]! > 0 ? dec(b.subarray(l.keys[i]!, l.keyEnds[i]!)) + ': ' : ''
    return '  '.repeat(l.depth[i]!) + key + dec(b.subarray(l.starts[i]!, l.ends[i]!)) + (l.comma[i] ? ',' : '')
  })
}

test('JSON is laid out as JSON.stringify does, and nothing is changed', () => {
  const value = { a: 1, b: [true, null, 'x\\"y', { c: {}, d: [] }], 'k"e': -1.5e10, e: '', u: '日本' }
  const b = enc(JSON.stringify(value))
  const lines = jsonLines(b)
  assert.equal(draw(b, lines).join('\n'), JSON.stringify(value, null, 2))
  assert.equal(lines.broken, undefined)
  const spaced = enc(JSON.stringify(value, null, '\t'))
  assert.equal(draw(spaced, jsonLines(spaced)).join('\n'), JSON.stringify(value, null, 2))
  const exact = enc('{"n":12345678901234567890.000,"n":1}')
  assert.deepEqual(draw(exact, jsonLines(exact)), ['{', '  "n": 12345678901234567890.000,', '  "n": 1', '}'])
})

test('closing lines are known', () => {
  const l = jsonLines(enc('{"a":[1,2],"b":{}}'))
  assert.deepEqual([...l.close], [6, 4, 0, 0, 0, 0, 0])
})

test('NDJSON is one value after the other', () => {
  const b = enc('{"a":1}\n{"a":2}\n')
  assert.deepEqual(draw(b, jsonLines(b)), ['{', '  "a": 1', '}', '{', '  "a": 2', '}'])
})

test('broken JSON breaks where it breaks, and the rest is shown', () => {
  const cases: [string, number, RegExp][] = [
    ['{"a":1,"b":}', 11, /value/], ['{"a":1,}', 7, /comma/], ['{"a" 1}', 5, /colon/], ['{a:1}', 1, /member name/], ['[1 2]', 3, /comma or \]/],
    ['"open', 0, /does not end/], ['{"a":[1,2', 9, /ends inside/], ['[tru]', 1, /not a value/], ['[01]', 1, /not a value/], ['', 0, /no value/], ['[,]', 1, /value/], ['{"a":"\\"}', 5, /does not end/], [']', 0, /value/],
  ]
  for (const [text, at, why] of cases) {
    const b = enc(text)
    const l = jsonLines(b)
    assert.equal(l.broken?.at, at, `${text}: ${JSON.stringify(l.broken)}`)
    assert.match(l.broken!.message, why)
    assert.equal(draw(b, l).join('').replace(/[\s:,]/g, '').endsWith(text.slice(at).replace(/[\s:,]/g, '')), true, text)
  }
})

test('valid JSON is never called broken, and broken JSON always', () => {
  let seed = 7
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
  const value = (depth: number): unknown => {
    const k = random(depth > 3 ? 5 : 7)
    if (k === 0) return random(2) === 0
    if (k === 1) return null
    if (k === 2) return random(100000) / 7 - 3000
    if (k === 3) return 'é"\\/\b\u0001日'.slice(random(4), random(9))
    if (k === 4) return ''
    if (k === 5) return Array.from({ length: random(4) }, () => value(depth + 1))
    return Object.fromEntries(Array.from({ length: random(4) }, (_, i) => [`k${i}"`, value(depth + 1)]))
  }
  for (let i = 0; i < 2000; i++) {
    const v = value(0)
    const text = JSON.stringify(v, null, random(3))
    const b = enc(text)
    assert.equal(jsonLines(b).broken, undefined, text)
    assert.equal(draw(b, jsonLines(b)).join('\n'), JSON.stringify(v, null, 2))
    // A single changed byte: the scanner agrees with JSON.parse on whether it still is JSON.
    const hurt = b.slice()
    hurt[random(hurt.length)] = 32 + random(95)
    let good = true
    try { JSON.parse(dec(hurt)) } catch { good = false }
    const l = jsonLines(hurt)
    if (good) assert.equal(l.broken, undefined, dec(hurt))
    // Values in a row and what strings may contain are judged more mildly.
    else if (!l.broken) assert.match(dec(hurt), /[\\]|^\S+\s+\S|["\]}\d\w]\s*["[{\d-]|\u0001/, dec(hurt))
  }
})

test('deep nesting is no recursion', () => {
  const n = 200_000
  const l = jsonLines(enc('['.repeat(n) + ']'.repeat(n)))
  assert.equal(l.broken, undefined)
  assert.equal(l.count, 2 * n - 1)
})

test('a long single line is scanned in no time', () => {
  const item = '{"id":123456,"name":"some name here","tags":["a","b"],"ok":true},'
  const b = enc('[' + item.repeat(150_000) + '0]')
  const start = process.cpuUsage()
  const l = jsonLines(b)
  const took = process.cpuUsage(start).user / 1000
  assert.equal(l.broken, undefined)
  assert.equal(l.count, 150_000 * 9 + 2 + 1)
  assert.ok(took < 3000, `10 MB took ${took} ms of the processor`)
})

test('text lines end as they end', () => {
  const b = enc('a\nb\r\nc\rd')
  assert.deepEqual(draw(b, textLines(b)), ['a', 'b', 'c', 'd'])
  assert.equal(textLines(enc('a\n')).count, 1)
  assert.equal(textLines(enc('')).count, 1)
})

test('XML is laid out by its tags', () => {
  const b = enc('<?xml version="1.0"?><!DOCTYPE a [<!ELEMENT b ANY>]><a x="1>2"><b>text</b><c/><!-- > --><d><![CDATA[<x>]]></d>\n  loose\n</a>')
  assert.deepEqual(draw(b, xmlLines(b)), [
    '<?xml version="1.0"?>', '<!DOCTYPE a [<!ELEMENT b ANY>]>', '<a x="1>2">', '  <b>text</b>', '  <c/>', '  <!-- > -->', '  <d>', '    <![CDATA[<x>]]>', '  </d>', '  loose', '</a>',
  ])
  assert.match(xmlLines(enc('<a><b></a>')).broken?.message ?? '', /before its elements/)
  assert.match(xmlLines(enc('<a')).broken?.message ?? '', /tag does not end/)
  assert.match(xmlLines(enc('</a>')).broken?.message ?? '', /no start/)
})

test('rows break lines to the width, leave out what is folded, and lose nothing', () => {
  const b = enc('{"long":"' + 'x'.repeat(500) + '","b":[1,2,3]}')
  const l = jsonLines(b)
  const shape = layout(l, 80, new Set())
  const parts = Array.from({ length: shape.rows }, (_, r) => shape.line[r]!).filter((i) => i === 1).length
  assert.equal(parts, Math.ceil((502 + 8) / width(80, 1)))
  const folded = layout(l, 80, new Set([2]))
  assert.equal(folded.rows, shape.rows - 4)
  assert.equal(layout(l, 80, new Set([0])).rows, 1)
})

test('rows never cut a character', () => {
  const b = enc('日本語'.repeat(50))
  let out = ''
  for (let at = 0; at < b.length; at += 40) out += dec(b.subarray(whole(b, at, b.length), whole(b, Math.min(at + 40, b.length), b.length)))
  assert.equal(out, '日本語'.repeat(50))
})
