import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Summary } from '../../src/api/types.ts'
import { axis } from '../../src/model/axis.ts'
import { format, parse } from '../../src/model/location.ts'
import { Rows } from '../../src/model/rows.ts'
import { exchange } from '../fake.ts'

const x = (id: number, seq = id): Summary => exchange(id, seq)
const ids = (r: Rows) => r.list.map((e) => e.id)
const span = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => x(from + i))

test('changes are merged in the order of ids, the later revision wins', () => {
  const r = new Rows()
  for (const e of [x(2, 5), x(1, 6), x(3, 7), x(2, 4), x(2, 9)]) r.apply(e)
  assert.deepEqual(ids(r), [1, 2, 3])
  assert.equal(r.get(2)!.seq, 9)
  assert.equal(r.apply(x(3, 10)), false)
  assert.equal(r.apply(x(4, 11)), true)
})

test('away from the tail, new exchanges are counted, not kept', () => {
  const r = new Rows()
  r.replace(span(100, 200), { above: 99, below: 50, atStart: false, atEnd: false })
  r.newest = 250
  r.apply(x(251))
  assert.equal(r.list.length, 101)
  assert.equal(r.below, 51)
  r.apply(x(240))
  assert.equal(r.below, 51, 'an old one below was counted already')
  r.apply(x(50, 999))
  assert.equal(r.first, 100, 'a change above the window is not needed')
})

test('pages widen the window at either end, until there is no more', () => {
  const r = new Rows()
  r.replace(span(100, 119), { above: 99, below: 30, atStart: false, atEnd: false })
  r.prepend(span(80, 99).reverse(), 20)
  assert.equal(r.first, 80)
  assert.equal(r.above, 79)
  r.append(span(120, 139), 20)
  assert.equal(r.below, 10)
  r.append(span(140, 149), 20)
  assert.equal(r.atEnd, true)
  assert.equal(r.below, 0)
  r.prepend(span(61, 79), 20)
  assert.equal(r.atStart, true)
  assert.equal(r.above, 0)
  assert.deepEqual(ids(r), span(61, 149).map((e) => e.id))
})

test('the window stays bounded under any number of new rows', () => {
  const r = new Rows(1000)
  for (let i = 1; i <= 100_000; i++) {
    r.apply(x(i))
    if (i % 80 === 0) r.trim(r.list.length - 40, r.list.length)
  }
  assert.ok(r.list.length <= 1500)
  assert.equal(r.last, 100_000)
  assert.equal(r.total, 100_000)
  assert.equal(r.atEnd, true)
  assert.equal(r.atStart, false)
})

test('trimming keeps what is on the screen', () => {
  const r = new Rows(100)
  for (const e of span(1, 1000)) r.apply(e)
  r.trim(500, 540)
  assert.ok(r.get(501) && r.get(540))
  assert.equal(r.list.length, 100)
  assert.equal(r.above + r.below, 900)
  assert.equal(r.atEnd, false)
})

test('what was removed does not come back with a page under way', () => {
  const r = new Rows()
  r.replace(span(1, 10), { above: 0, below: 0, atStart: true, atEnd: true })
  assert.equal(r.remove([3]), false)
  assert.equal(r.remove([999]), true)
  r.replace(span(1, 10), { above: 0, below: 0, atStart: true, atEnd: true })
  assert.deepEqual(ids(r), [1, 2, 4, 5, 6, 7, 8, 9, 10])
})

test('a page does not set back what the stream has brought meanwhile', () => {
  const r = new Rows()
  r.apply(x(5, 50))
  r.apply(x(6, 51))
  r.replace([x(5, 40)], { above: 0, below: 0, atStart: true, atEnd: true })
  assert.deepEqual(r.list.map((e) => [e.id, e.seq]), [[5, 50], [6, 51]])
})

test('the axis never runs backwards, keeps busy time to scale and shortens pauses', () => {
  const a = axis([{ start: 0, end: 100 }, { start: 50, end: 150 }, { start: 3_600_000, end: 3_600_150 }])
  assert.equal(a.busy, 300)
  assert.equal(a.at(0), 0)
  assert.equal(a.at(3_600_150), 1)
  let before = -1
  for (let t = -10; t < 3_600_200; t += 997) {
    assert.ok(a.at(t) >= before)
    before = a.at(t)
  }
  const first = a.at(150) - a.at(0)
  const second = a.at(3_600_150) - a.at(3_600_000)
  assert.ok(Math.abs(first - second) < 1e-9, 'as long, as wide')
  assert.ok(first > 0.45, 'the pause takes little')
  assert.equal(axis([]).at(5), 0)
  assert.equal(axis([{ start: 5, end: 5 }]).at(5), 0)
})

test('the address says what is shown', () => {
  const view = { page: 'traffic', section: 'certificates', filter: 'host:a.test status>=400 "x&y"', id: 42, tab: 'response' } as const
  assert.deepEqual(parse(format(view)), view)
  assert.deepEqual(parse(''), { page: 'traffic', section: 'certificates', filter: '', id: undefined, tab: 'overview' })
  // Links from before the tabs were named for what they are.
  assert.equal(parse('#/?id=4&tab=headers').tab, 'request')
  assert.equal(parse('#/?id=4&tab=body').tab, 'response')
  assert.equal(parse('#/?id=4&tab=constructor').tab, 'overview')
  assert.deepEqual(parse('#/rules'), { page: 'rules', section: 'certificates', filter: '', id: undefined, tab: 'overview' })
  assert.deepEqual(parse('#/?id=-1&tab=nonsense'), { page: 'traffic', section: 'certificates', filter: '', id: undefined, tab: 'overview' })
  assert.equal(format({ page: 'traffic', section: 'certificates', filter: '', id: undefined, tab: 'request' }), '#/')
})
