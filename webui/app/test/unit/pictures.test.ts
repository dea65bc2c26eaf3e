import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Point, Timeline } from '../../src/api/totals.ts'
import { chosen, narrowed, widened } from '../../src/model/groups.ts'
import { format, parse } from '../../src/model/location.ts'
import { layOut, ticks } from '../../src/model/pageload.ts'
import { bars, bytesLine, marked, tableRows } from '../../src/model/timeline.ts'
import { exchange } from '../fake.ts'

describe('groups and the filter', () => {
  test('a group takes the place of the one before, and leaves what the reader wrote', () => {
    assert.equal(narrowed('status:4xx', 'host', 'host:a.test'), 'status:4xx host:a.test')
    assert.equal(narrowed('status:4xx host:a.test path~"^/api/"', 'host', 'host:b.test'), 'status:4xx host:b.test')
    assert.equal(narrowed('host:*.test host:a.test', 'host', 'host:b.test'), 'host:*.test host:b.test')
    assert.equal(narrowed('', 'host', 'host:a.test', 'path~"^/api/"'), 'host:a.test path~"^/api/"')
    assert.equal(narrowed('x or y', 'client', 'run="my tests"'), '(x or y) run="my tests"')
    assert.equal(narrowed('client:127.0.0.1', 'client', '-client'), '-client')
  })
  test('what a filter is narrowed to is found, and taken away', () => {
    assert.deepEqual(chosen('x host:a.test path="/q"', 'host'), ['host:a.test', 'path="/q"'])
    assert.deepEqual(chosen('host:a.test', 'connection'), [])
    assert.deepEqual(chosen('host:a.test or x', 'host'), [])
    assert.equal(widened('x connection="12" y', 'connection'), 'x y')
    assert.equal(widened('x or connection="12"', 'connection'), 'x or connection="12"')
  })
})

const point = (bucket: number, count: number, failed = 0, refused = 0, bytes = 0): Point => ({ bucket, count, failed, refused, bytes, time: 0 })
const line = (...points: Point[]): Timeline => ({ start: '2026-01-01T00:00:00Z', step: 1000, buckets: 30, points, all: point(0, 0), covered: 1 })

describe('the timeline', () => {
  test('what is there is seen, and stays within the picture', () => {
    const drawn = bars(line(point(0, 10_000), point(1, 10_000, 1, 1), point(2, 1)), 46)
    for (const b of drawn) assert.ok(b.ok + b.refused + b.failed <= 46, JSON.stringify(b))
    assert.ok(drawn[1]!.failed >= 2 && drawn[1]!.refused >= 2 && drawn[2]!.ok >= 2)
    assert.equal(bars(line(), 46).length, 0)
  })
  test('bytes are a line over all buckets, failures are marked where they are most', () => {
    assert.equal(bytesLine(line(point(3, 1, 0, 0, 99)), 46).split(' ').length, 30)
    assert.deepEqual(marked(line(...Array.from({ length: 30 }, (_, i) => point(i, 50, i))), 3).map((p) => p.bucket), [29, 28, 27])
  })
  test('the table has the same sums in few rows', () => {
    const rows = tableRows(line(point(0, 3, 1), point(29, 4, 0, 2, 7)), 12)
    assert.ok(rows.length <= 12)
    assert.deepEqual([rows[0]!.count, rows.at(-1)!.count, rows.at(-1)!.refused, rows.at(-1)!.bytes, rows[0]!.failed], [3, 4, 2, 7, 1])
  })
})

describe('the loading of a page', () => {
  test('phases follow one another from where an exchange began', () => {
    const a = exchange(1, 1, { time: 10, startedDateTime: '2026-01-01T00:00:00.000Z', timings: { blocked: 1, dns: -1, connect: 4, ssl: 3, send: 0, wait: 4, receive: 1 } })
    const b = exchange(2, 2, { time: 20, startedDateTime: '2026-01-01T00:00:00.005Z', timings: { blocked: -1, dns: -1, connect: -1, ssl: -1, send: -1, wait: -1, receive: -1 }, status: 500 })
    const lasts = exchange(3, 3, { kind: 'websocket', state: 'open', time: -1, startedDateTime: '2026-01-01T00:00:00.010Z' })
    const l = layOut([a, b, lasts], Date.parse('2026-01-01T01:00:00Z'))
    assert.equal(l.took, 25)
    assert.deepEqual(l.bars[0]!.segments.map((s) => [s.key, s.from, s.ms]), [['blocked', 0, 1], ['connect', 1, 1], ['ssl', 2, 3], ['wait', 5, 4], ['receive', 9, 1]])
    assert.deepEqual(l.bars[1]!.segments.map((s) => [s.key, s.from, s.ms]), [['rest', 5, 20]])
    assert.deepEqual([l.bars[0]!.bad, l.bars[1]!.bad, l.refused, l.failed], [false, true, 1, 0])
    assert.equal(l.bars[2]!.ms, 15, 'what lasts ends with the picture')
  })
  test('the axis has some round moments', () => {
    for (const took of [0.5, 1, 7, 25, 605, 12_345, 3_600_000]) {
      const t = ticks(took)
      assert.ok(t.length >= 3 && t.length <= 12 && t[0] === 0 && t.at(-1)! <= took, `${took}: ${t}`)
    }
  })
})

test('the pictures have addresses of their own', () => {
  for (const hash of ['#/totals/host', '#/totals/connection?filter=x', '#/load?id=42', '#/load']) assert.equal(format(parse(hash)), hash)
  assert.equal(parse('#/totals/colour').grouping, undefined)
})
