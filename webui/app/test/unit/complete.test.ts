import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FilterField } from '../../src/api/language.ts'
import { accept, fieldOptions, place, valueOptions, written } from '../../src/model/complete.ts'

const numeric = [':', '=', '!=', '<', '<=', '>', '>=', 'in']
const textual = [':', '=', '!=', '~', 'in']
const field = (name: string, kind: string, operators = textual, choices: string[] = []): FilterField => ({ name, kind, operators, choices, about: `about ${name}` })
const fields = [
  field('host', 'host'), field('hop', 'address'), field('hop.status', 'status', numeric), field('status', 'status', numeric), field('method', 'name'), field('url', 'text'),
  field('is', 'is', [':', '=', '!=', 'in'], ['open', 'done', 'failed']), field('header', 'header'), field('req.header', 'header'), field('path', 'text'), field('took', 'duration', numeric),
  field('cert.asked', 'bool', [':', '=', '!=', 'in'], ['yes', 'no']), field('cert.sent', 'text'), field('error', 'error', textual, ['tls', 'timeout']),
]

/** at reads a filter in which | is the cursor, and says what is being written there. */
function at(marked: string): string {
  const cursor = marked.indexOf('|')
  const text = marked.replace('|', '')
  const p = place(text, cursor, fields)
  if (!p) return 'nothing'
  return `${p.kind}${p.field ? ` ${p.field.name}` : ''} “${p.word}” for “${text.slice(p.from, p.to)}”${p.inList ? ' in a list' : ''}${p.rest ? ` in ${p.rest}` : ''}`
}

test('what is being written is known by where the cursor stands', () => {
  for (const [marked, want] of [
    ['|', 'field “” for “”'],
    ['ho|', 'field “ho” for “ho”'],
    ['h|o', 'field “h” for “ho”'],
    ['-ho|', 'field “ho” for “ho”'],
    ['not ho|', 'field “ho” for “ho”'],
    ['not (a or ho|', 'field “ho” for “ho”'],
    ['host|', 'field “host” for “host”'],
    ['host:|', 'value host “” for “”'],
    ['host:ba|nk', 'value host “ba” for “bank”'],
    ['HOST:ba|', 'value host “ba” for “ba”'],
    ['host: ba|', 'field “ba” for “ba”'],
    ['host = ba|', 'value host “ba” for “ba”'],
    ['status>=|', 'value status “” for “”'],
    ['status>= 4|', 'value status “4” for “4”'],
    ['host~ba|', 'nothing'],
    ['path:"a b|', 'value path “a b” for “"a b”'],
    ['path:"a b|c" x', 'value path “a b” for “"a bc"” in x'],
    ['path:"a \\"|', 'value path “a "” for “"a \\"”'],
    ['path:"a b"|', 'field “” for “”'],
    ['"quoted ho|', 'nothing'],
    ['"quoted" ho|', 'field “ho” for “ho”'],
    ['method in (|', 'value method “” for “” in a list'],
    ['method in (GET, P|', 'value method “P” for “P” in a list'],
    ['method in (GET, P|) status:200', 'value method “P” for “P” in a list in status:200'],
    ['method in (GET,POST) |', 'field “” for “”'],
    ['method in (GET,"P|', 'value method “P” for “"P” in a list'],
    ['header[|', 'header header “” for “”'],
    ['header[con|]', 'header header “con” for “con]”'],
    ['req.header[x-id]:|', 'value req.header “” for “”'],
    ['header|', 'field “header” for “header”'],
    ['is:f|', 'value is “f” for “f”'],
    ['status:404 host:b|', 'value host “b” for “b” in status:404'],
    ['status:404 -host:b|', 'value host “b” for “b” in status:404'],
    ['status:404 and host:b|', 'value host “b” for “b” in status:404'],
    ['host:b| and status:404', 'value host “b” for “b” in status:404'],
    ['status:404 or host:b|', 'value host “b” for “b”'],
    ['host:b| or status:404', 'value host “b” for “b”'],
    ['(status:404 host:b|)', 'value host “b” for “b”'],
    ['http://ho|', 'field “http://ho” for “http://ho”'],
    ['hostile|', 'field “hostile” for “hostile”'],
    ['/a(b|', 'field “/a(b” for “/a(b”'],
  ] as const) assert.equal(at(marked), want, marked)
})

test('no text and no cursor makes it fail or run for ever', () => {
  const parts = ['host', ':', '"', '\\', '(', ')', ' ', 'in (', ',', '-', 'not ', 'header[', ']', '=', 'ü', '\u{1f600}', 'or ', '~', '>=', '4xx']
  let seed = 7
  const next = (n: number) => (seed = (seed * 48271) % 2147483647) % n
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: next(12) }, () => parts[next(parts.length)]).join('')
    for (let cursor = 0; cursor <= text.length; cursor++) {
      const p = place(text, cursor, fields)
      if (!p) continue
      assert.ok(p.from <= cursor && p.to >= cursor && p.to <= text.length && p.term <= p.from, `${JSON.stringify(text)} at ${cursor}: ${JSON.stringify(p)}`)
    }
  }
})

test('fields are found by their beginning, the beginning of a part, or their description', () => {
  assert.deepEqual(fieldOptions('ho', fields).map((o) => o.text), ['host:', 'hop:', 'hop.status:'])
  assert.deepEqual(fieldOptions('sta', fields).map((o) => o.text), ['status:', 'hop.status:'])
  assert.deepEqual(fieldOptions('about took', fields).map((o) => o.text), ['took:'])
  assert.deepEqual(fieldOptions('zzz', fields), [])
  assert.equal(fieldOptions('cert.a', fields)[0]!.text, 'cert.asked ')
  assert.equal(fieldOptions('req', fields)[0]!.text, 'req.header[')
})

test('behind a whole name its operators are offered', () => {
  const offered = fieldOptions('took', fields).map((o) => o.label)
  assert.deepEqual(offered, ['took:', 'took=', 'took!=', 'took<', 'took<=', 'took>', 'took>=', 'took in (…)', 'took'])
})

const put = (marked: string, text: string): string => {
  const cursor = marked.indexOf('|')
  const plain = marked.replace('|', '')
  const p = place(plain, cursor, fields)!
  const got = accept(plain, p, { text, label: '', about: '' })
  return got.text.slice(0, got.cursor) + '|' + got.text.slice(got.cursor)
}

test('what is taken stands in the place of what was written', () => {
  assert.equal(put('ho|', 'host:'), 'host:|')
  assert.equal(put('-ho| x', 'host:'), '-host:| x')
  assert.equal(put('host:ba|', 'bank.test '), 'host:bank.test |')
  assert.equal(put('host:ba| status:200', 'bank.test '), 'host:bank.test |status:200')
  assert.equal(put('(host:ba|)', 'bank.test '), '(host:bank.test|)')
  assert.equal(put('header[con|', 'content-type]'), 'header[content-type]|')
  assert.equal(put('path:"a|', '"a b" '), 'path:"a b" |')
})

test('a value that would be read otherwise is quoted', () => {
  for (const plain of ['bank.test', 'application/json', 'p1.test:3128', '404', 'TLS_AES', '[2001:db8::1]', 'h2', 'é']) assert.equal(written(plain), plain)
  assert.equal(written('a b'), '"a b"')
  assert.equal(written('say "x"'), '"say \\"x\\""')
  assert.equal(written('a*'), '"a*"')
  assert.equal(written('x)'), '"x)"')
  assert.equal(written('back\\slash'), '"back\\\\slash"')
  assert.equal(written(''), '""')
  assert.equal(written('=x'), '"=x"')
  assert.equal(written('a,b'), '"a,b"')
})

test('seen values come with their counts, known ones and examples behind them', () => {
  const p = place('is:', 3, fields)!
  assert.deepEqual(valueOptions(p, undefined).map((o) => o.label), ['open', 'done', 'failed'])
  const status = place('status:', 7, fields)!
  const got = valueOptions(status, { values: [{ value: '404', count: 7 }], of: 10, all: true })
  assert.deepEqual(got.map((o) => o.text), ['404 ', '2xx ', '3xx ', '4xx ', '5xx '])
  assert.equal(got[0]!.count, 7)
  const list = place('method in (', 11, fields)!
  assert.equal(valueOptions(list, { values: [{ value: 'GET', count: 1 }], of: 1, all: true })[0]!.text, 'GET')
  const took = place('took:', 5, fields)!
  assert.equal(valueOptions(took, undefined)[0]!.text, '500ms.. ')
  const error = place('error:t', 7, fields)!
  assert.deepEqual(valueOptions(error, { values: [{ value: 'tls', count: 3 }], of: 9, all: true }).map((o) => [o.label, o.count]), [['tls', 3], ['timeout', undefined]])
})
