// Replays as a tree: what was sent again, of what, and how it came out otherwise.

import type { Summary } from '../api/types.ts'
import type { Comparison } from '../api/sending.ts'
import { duration, plural } from './format.ts'
import { statusText } from './story.ts'

export interface Attempt {
  x: Summary
  depth: number
}

/** tree puts exchanges below what they repeat, oldest first. Those whose original is not among them stand under the root. */
export function tree(root: Summary, replays: readonly Summary[]): Attempt[] {
  const known = new Set([root.id, ...replays.map((x) => x.id)])
  const below = new Map<number, Summary[]>()
  for (const x of replays) {
    const of = x.replayOf !== undefined && x.replayOf !== x.id && known.has(x.replayOf) ? x.replayOf : root.id
    below.set(of, [...(below.get(of) ?? []), x])
  }
  const out: Attempt[] = []
  const seen = new Set<number>()
  const walk = (x: Summary, depth: number) => {
    if (seen.has(x.id)) return
    seen.add(x.id)
    out.push({ x, depth })
    for (const y of (below.get(x.id) ?? []).sort((a, b) => a.id - b.id)) walk(y, depth + 1)
  }
  walk(root, 0)
  return out
}

/** briefly says what differs, in a few words, as far as summaries tell. */
export function briefly(of: Summary, x: Summary): string {
  const words: string[] = []
  if (x.request.method !== of.request.method) words.push(`method ${x.request.method}`)
  if (x.request.url !== of.request.url) words.push('URL')
  if (x.request.bodySize !== of.request.bodySize) words.push('request body')
  if (statusText(x) !== statusText(of)) words.push(`status ${statusText(of)} → ${statusText(x)}`)
  if (x.answeredBy !== of.answeredBy && x.answeredBy) words.push(`answered by ${x.answeredBy}`)
  if ((x.certificate ?? '') !== (of.certificate ?? '')) words.push(`certificate ${x.certificate ?? 'not asked'}`)
  if (x.state === 'done' && of.state === 'done' && x.response?.bodySize !== of.response?.bodySize) words.push('body size')
  return words.join(', ')
}

const parts: Record<string, string> = { 'request body': 'request body', 'response body': 'body', tls: 'TLS' }

/** compared says in a few words what a comparison found. */
export function compared(c: Comparison): string {
  if (c.same) return 'same answer'
  const real = c.differences.filter((d) => !d.incidental && !d.masked?.length)
  const places = real.map((d) => d.where.replace(/^(response|request) (header|body)\b/, (_, side: string, what: string) => (side === 'request' ? `request ${what}` : what)))
  const status = real.find((d) => d.where === 'response')
  const named = status ? [`status ${code(status.a)} → ${code(status.b)}`, ...places.filter((p) => p !== 'response')] : places
  if (named.length <= 2) return named.join(', ')
  const kinds = [...new Set(real.map((d) => parts[d.part] ?? d.part))]
  return `${named[0]}, and ${plural(named.length - 1 + c.more, 'other difference')} (${kinds.slice(0, 3).join(', ')})`
}

function code(line: string | null): string {
  return line?.split(' ')[1] ?? 'none'
}

/** delta is a time beside the one it is compared with. */
export function delta(of: number, ms: number): string {
  if (of < 0 || ms < 0) return ''
  const d = ms - of
  if (Math.abs(d) < 0.5) return '±0'
  return `${d > 0 ? '+' : '−'}${duration(Math.abs(d))}`
}

/** common splits two texts into what they begin and end with alike, and what differs between. */
export function common(a: string, b: string): { lead: string; a: string; b: string; tail: string } {
  let n = 0
  while (n < a.length && n < b.length && a[n] === b[n]) n++
  let m = 0
  while (m < a.length - n && m < b.length - n && a[a.length - 1 - m] === b[b.length - 1 - m]) m++
  // Never through the middle of a character.
  if (n > 0 && /[\ud800-\udbff]/.test(a[n - 1]!)) n--
  if (m > 0 && /[\udc00-\udfff]/.test(a[a.length - m]!)) m--
  return { lead: a.slice(0, n), a: a.slice(n, a.length - m), b: b.slice(n, b.length - m), tail: a.slice(a.length - m) }
}
