// Terms of a filter's text: taking out what a picture or a group has put in, and putting something else in its place, without
// touching what the reader wrote. The grammar is that of the server; only its top level is looked at.

export interface Term {
  text: string
  start: number
  end: number
}

/** terms are the words of a filter at its top level: what white space parts outside of quotes and brackets. */
export function terms(filter: string): Term[] {
  const out: Term[] = []
  let start = -1
  let depth = 0
  for (let i = 0; i <= filter.length; i++) {
    const c = filter[i]
    if (c === undefined || (depth === 0 && /\s/.test(c))) {
      if (start >= 0) out.push({ text: filter.slice(start, i), start, end: i })
      start = -1
      continue
    }
    if (start < 0) start = i
    if (c === '"' && /^$|[\s(,:=<>~!-]/.test(filter[i - 1] ?? '')) i = endOfQuote(filter, i)
    else if (c === '(') depth++
    else if (c === ')') depth = Math.max(0, depth - 1)
  }
  return out
}

function endOfQuote(s: string, from: number): number {
  for (let i = from + 1; i < s.length; i++) {
    if (s[i] === '\\') i++
    else if (s[i] === '"') return i
  }
  return s.length - 1
}

/** Whether a filter has alternatives at its top level, so that a term put beside it would belong to the last only. */
function alternatives(filter: string): boolean {
  return terms(filter).some((t) => /^or$/i.test(t.text))
}

/** without takes terms that are exactly these out of a filter. */
export function without(filter: string, ...taken: string[]): string {
  if (alternatives(filter)) return filter
  const list = terms(filter)
  const kept = list.filter((t, i) => !taken.includes(t.text) || /^(not|and)$/i.test(list[i - 1]?.text ?? ''))
  return kept.length === list.length ? filter : kept.map((t) => t.text).join(' ')
}

/** withTerm adds a term to a filter, in the place of others. */
export function withTerm(filter: string, term: string, ...instead: string[]): string {
  const rest = without(filter, ...instead).trim()
  if (rest === '') return term
  return alternatives(rest) ? unwrap(rest) + ` ${term}` : `${rest} ${term}`
}

function unwrap(filter: string): string { return `(${filter})` }

/** has says whether a term stands in a filter at its top level. */
export function has(filter: string, term: string): boolean {
  return terms(filter).some((t) => t.text === term)
}

/** A stretch of time in a filter, as brushing puts it there. */
export interface Stretch {
  term: string
  from: number
  to: number
}

const stretch = /^at:(\d{4}-\d\d-\d\dT[\d:.]+Z)\.\.(\d{4}-\d\d-\d\dT[\d:.]+Z)$/

/** brushed is the stretch of time that a filter is narrowed to, if it is one between two moments. */
export function brushed(filter: string): Stretch | undefined {
  if (alternatives(filter)) return undefined
  const list = terms(filter)
  for (const [i, t] of list.entries()) {
    const m = stretch.exec(t.text)
    if (m && !/^not$/i.test(list[i - 1]?.text ?? '')) return { term: t.text, from: Date.parse(m[1]!), to: Date.parse(m[2]!) }
  }
  return undefined
}

/** stretchTerm is a stretch of time as a term. */
export function stretchTerm(from: number, to: number): string {
  return `at:${new Date(from).toISOString()}..${new Date(to).toISOString()}`
}
