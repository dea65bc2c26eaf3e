// Where in a filter the cursor stands, and what can be put there. The language is capture/filter's; this reads as much of it
// as is needed to know what is being written.

import type { FilterField, Values } from '../api/language.ts'

/** What is being written at the cursor, and which part of the text it would replace. */
export interface Place {
  kind: 'field' | 'value' | 'header'
  from: number
  to: number
  /** What stands before the cursor of it, without quotes. */
  word: string
  field?: FilterField
  inList: boolean
  /** Where the whole term begins, for who wants to leave it out. */
  term: number
  /** The other terms, where all of them must hold: what the values are counted in. */
  rest: string
}

export interface Option {
  /** What is put in, in the place of what is being written. */
  text: string
  label: string
  about: string
  count?: number
  /** Put in the place of the whole filter. */
  whole?: boolean
}

const space = /\s/
const nameByte = /[A-Za-z0-9.]/
const operators = ['!=', '<=', '>=', '=', '<', '>', '~']

/** place finds what is being written at the cursor; undefined inside what cannot be completed. */
export function place(text: string, cursor: number, fields: readonly FilterField[]): Place | undefined {
  const reader = new Reader(text, cursor, fields)
  return reader.read()
}

class Reader {
  private at = 0
  private depth = 0
  private alternatives = false

  constructor(private readonly text: string, private readonly cursor: number, private readonly fields: readonly FilterField[]) {}

  read(): Place | undefined {
    for (;;) {
      this.skip()
      if (this.at >= this.cursor) return this.field(this.cursor, this.cursor)
      const c = this.text[this.at]!
      if (c === '(') {
        this.depth++
        this.at++
      } else if (c === ')') {
        this.depth--
        this.at++
      } else if (c === '-' && this.at + 1 < this.text.length && !space.test(this.text[this.at + 1]!)) this.at++
      else if (!this.keyword()) {
        const found = this.term()
        if (found !== 'past') return found
      }
    }
  }

  private skip(): void {
    while (this.at < this.cursor && space.test(this.text[this.at]!)) this.at++
  }

  /** keyword steps over and, or, not, unless the cursor is still at it. */
  private keyword(): boolean {
    const m = /^(and|or|not)(?=[\s(])/i.exec(this.text.slice(this.at))
    if (!m || this.at + m[0].length >= this.cursor) return false
    if (m[0].toLowerCase() === 'or') this.alternatives = true
    this.at += m[0].length
    return true
  }

  /** term reads one thing to look for; "past" when the cursor is behind it. */
  private term(): Place | undefined | 'past' {
    const start = this.at
    if (this.text[start] === '"') {
      this.quoted()
      return this.at >= this.cursor && !this.closed(start) ? undefined : this.at > this.cursor ? undefined : 'past'
    }
    while (this.at < this.text.length && nameByte.test(this.text[this.at]!)) this.at++
    const name = this.text.slice(start, this.at).toLowerCase()
    const field = this.fields.find((f) => f.name === name)
    if (!field || (!/[[:=!<>~\s]/.test(this.text[this.at] ?? ' ') && this.text[this.at] !== ')')) return this.word(start)
    if (field.kind === 'header') {
      if (this.text[this.at] !== '[') return this.cursor <= this.at ? this.field(start, this.at) : this.word(start)
      const open = this.at + 1
      let end = open
      while (end < this.text.length && this.text[end] !== ']' && !space.test(this.text[end]!)) end++
      const shut = this.text[end] === ']'
      if (this.cursor <= start + name.length) return this.field(start, start + name.length)
      if (this.cursor <= end) return { kind: 'header', from: open, to: shut ? end + 1 : end, word: this.text.slice(open, this.cursor), field, inList: false, term: start, rest: this.rest(start, shut ? end + 1 : end) }
      if (!shut) return undefined
      this.at = end + 1
    }
    if (this.cursor <= this.at && (field.kind !== 'header' || this.cursor <= start + name.length)) return this.field(start, this.at)
    return this.operator(start, field)
  }

  private operator(start: number, field: FilterField): Place | undefined | 'past' {
    if (this.text[this.at] === ':') {
      this.at++
      return this.value(start, field, true)
    }
    const before = this.at
    while (this.at < this.text.length && space.test(this.text[this.at]!)) this.at++
    const op = operators.find((o) => this.text.startsWith(o, this.at))
    if (op) {
      this.at += op.length
      while (this.at < this.cursor && space.test(this.text[this.at]!)) this.at++
      return this.value(start, field, op !== '~')
    }
    if (this.at > before && /^in\s*\(/i.test(this.text.slice(this.at))) {
      this.at = this.text.indexOf('(', this.at) + 1
      return this.cursor < this.at ? undefined : this.list(start, field)
    }
    this.at = before
    return 'past'
  }

  private list(start: number, field: FilterField): Place | undefined | 'past' {
    for (;;) {
      while (this.at < this.cursor && /[\s,]/.test(this.text[this.at]!)) this.at++
      if (this.at >= this.cursor || this.text[this.at] !== ')') {
        const found = this.value(start, field, true, true)
        if (found !== 'past') return found
        if (this.at >= this.text.length) return undefined
      }
      while (this.at < this.cursor && space.test(this.text[this.at]!)) this.at++
      if (this.text[this.at] === ')') {
        this.at++
        return this.cursor < this.at ? undefined : 'past'
      }
    }
  }

  private value(term: number, field: FilterField, seen: boolean, inList = false): Place | undefined | 'past' {
    const from = this.at
    const quoted = this.text[from] === '"'
    if (quoted) this.quoted()
    else this.plain(inList)
    const done = quoted && this.closed(from) ? this.cursor >= this.at : this.cursor > this.at
    if (done) return 'past'
    if (!seen || this.cursor < from) return undefined
    let word = this.text.slice(from, this.cursor)
    if (quoted) word = word.slice(1).replace(/\\(["\\])/g, '$1')
    return { kind: 'value', from, to: this.at, word, field, inList, term, rest: this.rest(term, inList ? this.ofList(term) : this.at) }
  }

  /** ofList is where the list that the cursor is in ends. */
  private ofList(term: number): number {
    const shut = this.text.indexOf(')', Math.max(term, this.at))
    return shut < 0 ? this.text.length : shut + 1
  }

  private word(start: number): Place | undefined | 'past' {
    this.at = start
    this.plain(false)
    if (this.at === start) this.at++
    if (this.cursor > this.at) return 'past'
    return this.field(start, this.at)
  }

  /** plain reads to the end of a word: a parenthesis that was opened in it belongs to it. */
  private plain(inList: boolean): void {
    let open = 0
    for (; this.at < this.text.length; this.at++) {
      const c = this.text[this.at]!
      if (space.test(c) || (inList && c === ',' && open === 0)) return
      if (c === '(') open++
      if (c === ')' && --open < 0) return
    }
  }

  private quoted(): void {
    for (this.at++; this.at < this.text.length; this.at++) {
      const c = this.text[this.at]!
      if (c === '\\' && /["\\]/.test(this.text[this.at + 1] ?? '')) this.at++
      else if (c === '"') {
        this.at++
        return
      }
    }
  }

  private closed(from: number): boolean {
    return this.at - from > 1 && this.text[this.at - 1] === '"' && (this.text[this.at - 2] !== '\\' || this.text[this.at - 3] === '\\')
  }

  private field(from: number, to: number): Place {
    return { kind: 'field', from, to, word: this.text.slice(from, this.cursor), inList: false, term: from, rest: '' }
  }

  /** rest is the filter without the term from start to end, where it narrows what the term is looked for in. */
  private rest(start: number, end: number): string {
    const behind = this.text.slice(end)
    if (this.depth !== 0 || this.alternatives || /(^|[\s)])or[\s(]/i.test(behind)) return ''
    const before = this.text.slice(0, start).replace(/(\s|^)(-|not\s+|and\s+)+$/i, '$1')
    return `${before.trim()} ${behind.trim().replace(/^and\s+/i, '')}`.trim()
  }
}

/** written writes a value so that the language reads it as it is. */
export function written(value: string): string {
  return value !== '' && !/[\s()"',*\\]|^[=/]|\.\./.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** fieldOptions are the fields that may be meant by a word; behind a whole name, its operators. */
export function fieldOptions(word: string, fields: readonly FilterField[]): Option[] {
  const low = word.toLowerCase()
  const ranked = fields.map((f) => {
    const rank = f.name.startsWith(low) ? 0 : f.name.split('.').some((p) => p.startsWith(low)) ? 1 : low.length > 2 && f.about.toLowerCase().includes(low) ? 2 : 3
    return { f, rank }
  }).filter((r) => r.rank < 3)
  ranked.sort((a, b) => a.rank - b.rank)
  const out: Option[] = []
  for (const { f } of ranked) {
    const exact = f.name === low
    out.push(start(f))
    if (!exact) continue
    for (const o of f.operators.slice(1)) {
      if (f.kind === 'header') break
      out.push({ text: o === 'in' ? `${f.name} in (` : f.name + o, label: o === 'in' ? `${f.name} in (…)` : f.name + o, about: operatorMeans[o] ?? '' })
    }
    if (f.kind !== 'is' && f.kind !== 'header') out.push({ text: f.name + ' ', label: f.name, about: 'there is one' })
  }
  return out
}

/** start begins a term with a field. */
function start(f: FilterField): Option {
  if (f.kind === 'header') return { text: `${f.name}[`, label: `${f.name}[…]`, about: f.about }
  if (f.kind === 'bool') return { text: f.name + ' ', label: f.name, about: f.about }
  return { text: `${f.name}:`, label: `${f.name}:`, about: f.about }
}

const operatorMeans: Record<string, string> = {
  '=': 'is exactly', '!=': 'is there, and is not', '<': 'less than', '<=': 'at most', '>': 'more than', '>=': 'at least', '~': 'matches a regular expression', in: 'is one of several',
}

/** Examples of values that are not a thing to have been seen. */
const examples: Record<string, [string, string][]> = {
  status: [['2xx', 'success'], ['3xx', 'redirects'], ['4xx', 'the client’s errors'], ['5xx', 'the server’s errors']],
  duration: [['500ms..', 'half a second or more'], ['1s..', 'a second or more'], ['..50ms', 'at most 50 ms']],
  size: [['100k..', '100 KiB or more'], ['1m..', 'a mebibyte or more']],
  time: [['1m..', 'the last minute'], ['10m..', 'the last ten minutes'], ['1h..', 'the last hour'], ['1d..', 'the last day']],
}

/** valueOptions are the values that may be meant: those that are known beforehand and those that were seen. */
export function valueOptions(p: Place, seen: Values | undefined): Option[] {
  const low = p.word.toLowerCase()
  const out: Option[] = []
  const end = p.inList ? '' : ' '
  const counts = new Map((seen?.values ?? []).map((v) => [v.value.toLowerCase(), v.count]))
  const add = (value: string, about: string, count?: number) => {
    const text = about !== '' && examples[p.field?.kind ?? '']?.some(([v]) => v === value) ? value : written(value)
    if (!out.some((o) => o.text === text + end)) out.push({ text: text + end, label: value, about, ...(count === undefined ? {} : { count }) })
  }
  for (const v of seen?.values ?? []) add(v.value, '', v.count)
  for (const c of p.field?.choices ?? []) if (c.startsWith(low)) add(c, '', counts.get(c))
  const future = p.field?.name === 'cert.expires'
  if (future && low === '') for (const [v, about] of [['7d', 'within a week'], ['30d', 'within thirty days'], ['0d', 'already']] as const) add(v, about)
  else for (const [v, about] of examples[p.field?.kind ?? ''] ?? []) if (v.startsWith(low) && v !== low) add(v, about)
  return out
}

/** headerOptions are the names of header fields that were seen. */
export function headerOptions(seen: Values | undefined): Option[] {
  return (seen?.values ?? []).map((v) => ({ text: `${v.value}]`, label: v.value, about: '', count: v.count }))
}

/** accept puts an option into the text, and says where the cursor is then. */
export function accept(text: string, p: Place, o: Option): { text: string; cursor: number } {
  if (o.whole) return { text: o.text, cursor: o.text.length }
  let behind = text.slice(p.to)
  // No second space before what follows.
  let put = o.text
  if (put.endsWith(' ') && /^[\s)]/.test(behind)) put = put.slice(0, -1)
  const head = text.slice(0, p.from) + put
  if (behind !== '' && p.kind === 'field' && !/^[\s)]/.test(behind)) behind = ` ${behind}`
  return { text: head + behind, cursor: head.length + (o.text.endsWith(' ') && /^\s/.test(behind) ? 1 : 0) }
}
