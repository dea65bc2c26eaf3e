// The timeline's geometry: bars whose parts can be seen however small, the line of bytes, and the same in a few rows of a table.

import type { Point, Timeline, Totals } from '../api/totals.ts'
import { count, plural, size } from '../lib/format.ts'

export interface Bar {
  bucket: number
  ok: number
  refused: number
  failed: number
}

const least = 2.5

/** bars are the parts of each bucket's bar in units of height. What is there is seen: no part is lower than a few units. */
export function bars(t: Timeline, height: number): Bar[] {
  const room = height - 8
  const top = Math.max(...t.points.map((p) => p.count), 1)
  return t.points.map((p) => {
    const scale = (n: number) => (n <= 0 ? 0 : Math.max((n / top) * room, least))
    const failed = scale(p.failed)
    const refused = scale(p.refused)
    const ok = scale(p.count - p.failed - p.refused)
    // Parts that were raised to be seen must not raise the bar above the picture.
    const over = Math.max(0, failed + refused + ok - room)
    return { bucket: p.bucket, ok: Math.max(ok - over, 0), refused, failed }
  })
}

/** bytesLine is the bytes of each bucket as an SVG polyline. */
export function bytesLine(t: Timeline, height: number): string {
  const top = Math.max(...t.points.map((p) => p.bytes), 1)
  const byBucket = new Map(t.points.map((p) => [p.bucket, p.bytes]))
  return Array.from({ length: t.buckets }, (_, i) => `${i + 0.5},${Math.round((height - 1 - ((byBucket.get(i) ?? 0) / top) * (height - 8)) * 100) / 100}`).join(' ')
}

/** spoken says a bucket in words. */
export function spoken(p: Point): string {
  return [plural(p.count, 'exchange'), p.refused > 0 ? `${plural(p.refused, 'error')} answered` : '', p.failed > 0 ? `${count(p.failed)} failed` : '', size(p.bytes)].filter(Boolean).join(', ')
}

/** tableRows is the timeline in at most so many rows. */
export function tableRows(t: Timeline, most: number): (Totals & { from: number })[] {
  const per = Math.max(1, Math.ceil(t.buckets / most))
  const rows = Array.from({ length: Math.ceil(t.buckets / per) }, (_, i) => ({ from: i * per, count: 0, failed: 0, refused: 0, bytes: 0, time: 0 }))
  for (const p of t.points) {
    const r = rows[Math.floor(p.bucket / per)]
    if (!r) continue
    r.count += p.count
    r.failed += p.failed
    r.refused += p.refused
    r.bytes += p.bytes
    r.time += p.time
  }
  return rows
}

/** marked is the buckets with a sign over them, beside their colour: those with most failures, so many that the signs stay apart. */
export function marked(t: Timeline, most = 16): Point[] {
  return t.points.filter((p) => p.failed > 0).sort((a, b) => b.failed - a.failed || a.bucket - b.bucket).slice(0, most)
}
