// The loading of a page as bars on one axis: each exchange's phases, where they began and how long they took.

import type { Summary } from '../api/types.ts'
import { elapsed, outcome, phases, type Phase } from '../lib/story.ts'

export interface Segment {
  key: Phase['key'] | 'rest'
  name: string
  /** Milliseconds from the beginning of the page. */
  from: number
  ms: number
}

export interface Bar {
  x: Summary
  from: number
  ms: number
  segments: Segment[]
  bad: boolean
}

export interface Loading {
  bars: Bar[]
  /** How long the page took to load: until the last exchange that does not last ended. */
  took: number
  bytes: number
  failed: number
  refused: number
}

/** layOut lays a page's exchanges out. What lasts (a WebSocket, what is still open) runs to the end without moving it. */
export function layOut(exchanges: readonly Summary[], now: number): Loading {
  const start = Math.min(...exchanges.map((x) => Date.parse(x.startedDateTime)))
  const lasts = (x: Summary) => x.kind !== 'http' || x.state === 'open'
  const bars = exchanges.map((x): Bar => {
    const from = Date.parse(x.startedDateTime) - start
    const ms = elapsed(x, now)
    const kind = outcome(x)
    return { x, from, ms, segments: segments(x, from, ms), bad: kind === 'failed' || kind === 'server' || kind === 'client' }
  })
  const brief = bars.filter((b) => !lasts(b.x))
  const took = Math.max(...(brief.length > 0 ? brief : bars).map((b) => b.from + b.ms), 1)
  for (const b of bars) {
    if (lasts(b.x)) b.ms = Math.max(Math.min(b.ms, took - b.from), 0)
    b.segments = b.segments.map((s) => ({ ...s, ms: Math.min(s.ms, Math.max(took - s.from, 0)) })).filter((s) => s.ms > 0 || s.key !== 'rest')
  }
  return {
    bars, took,
    bytes: exchanges.reduce((sum, x) => sum + Math.max(x.response?.bodySize ?? 0, 0), 0),
    failed: exchanges.filter((x) => x.state === 'failed').length,
    refused: exchanges.filter((x) => x.state !== 'failed' && (x.response?.status ?? 0) >= 400).length,
  }
}

function segments(x: Summary, from: number, ms: number): Segment[] {
  const out: Segment[] = []
  let at = from
  for (const p of phases(x)) {
    if (p.ms <= 0) continue
    out.push({ key: p.key, name: p.name, from: at, ms: p.ms })
    at += p.ms
  }
  // What no phase accounts for.
  const rest = from + ms - at
  if (rest > 0.5) out.push({ key: 'rest', name: out.length > 0 ? 'Not timed' : 'In all', from: at, ms: rest })
  return out
}

/** ticks are round moments of an axis, some five to ten of them. */
export function ticks(took: number): number[] {
  const rough = took / 7
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!
  return Array.from({ length: Math.floor(took / step) + 1 }, (_, i) => i * step)
}
