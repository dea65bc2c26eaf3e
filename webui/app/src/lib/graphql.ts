// GraphQL requests (https://spec.graphql.org, https://graphql.github.io/graphql-over-http): the query laid out, its
// variables and its name.

import { exact } from './exact.ts'

export interface Operation {
  name: string
  query: string
  /** As JSON, laid out; "" for none. */
  variables: string
  /** What else was sent, as JSON; such as the hash of a persisted query. */
  extensions: string
}

/** operations reads a body: JSON of one request or of several, or the query itself. */
export function operations(text: string, plain: boolean): Operation[] {
  if (plain) return [{ name: named(text), query: format(text), variables: '', extensions: '' }]
  const value = exact(text)
  return (Array.isArray(value) ? value : [value]).slice(0, 100).flatMap((v: unknown) => {
    if (typeof v !== 'object' || v === null) return []
    const o = v as Record<string, unknown>
    const query = typeof o['query'] === 'string' ? o['query'] : ''
    const said = typeof o['operationName'] === 'string' ? o['operationName'] : ''
    if (!query && !o['extensions']) return []
    return [{ name: said || named(query), query: format(query), variables: laid(o['variables']), extensions: laid(o['extensions']) }]
  })
}

function laid(v: unknown): string {
  return v === undefined || v === null || typeof v === 'object' && Object.keys(v).length === 0 ? '' : JSON.stringify(v, null, 2)
}

function named(query: string): string {
  return /^\s*(?:query|mutation|subscription)\s+(\w+)/m.exec(query)?.[1] ?? ''
}

const token = /[\s,\ufeff]+|(#[^\n]*)|("""(?:\\"""|[^])*?"""|"(?:\\.|[^"\\\n])*")|(\.\.\.|[!$&()=:@[\]{|}])|([A-Za-z_]\w*|-?\d[\w.+-]*)/y
const longest = 2 << 20

/** format lays a query out: a line for each field. Text that is none stays as it is. */
export function format(query: string): string {
  if (query.length > longest) return query
  const out: string[] = []
  let braces = 0
  let parens = 0
  let before = ''
  let beforeThat = ''
  let comma = false
  const line = () => '\n' + '  '.repeat(Math.min(braces, 60))
  token.lastIndex = 0
  while (token.lastIndex < query.length) {
    const m = token.exec(query)
    // What no query has ends the laying out: the rest follows as it was.
    if (!m) return query
    const [all, comment, string, mark, word] = m
    if (comment !== undefined) {
      out.push(before === '' ? '' : line(), comment)
      if (braces === 0 && parens === 0) out.push('\n')
      beforeThat = before
      before = '#'
      continue
    }
    const t = string ?? mark ?? word
    if (t === undefined) {
      if (all.includes(',')) comma = true
      continue
    }
    let lead = ' '
    if (before === '') lead = ''
    else if (before === '#') lead = line()
    else if (parens > 0) {
      if (['(', '[', '{', '$', '@', '...'].includes(before) || [')', ']', '}', ':', '!'].includes(t)) lead = ''
      else if (comma && !['=', '@'].includes(t)) lead = ', '
      if (before === '{' || t === '}') lead = ''
    } else if (t === '}') {
      braces = Math.max(0, braces - 1)
      lead = before === '{' ? '' : line()
    } else if (t === '(' || t === ':' || t === '!' || t === ']' || before === '$' || before === '@' || before === '[' || before === '...' && t !== '{' && t !== '@') {
      lead = before === '...' && t === 'on' ? ' ' : ''
      if (t === ')') lead = ''
    } else if (before === '{' || braces > 0 && (word !== undefined || string !== undefined || t === '...') && ![':', '='].includes(before) && !(before === 'on' && beforeThat === '...')) {
      lead = line()
    } else if (braces === 0 && before === '}') {
      lead = '\n\n'
    }
    out.push(lead, t)
    if (t === '(') parens++
    else if (t === ')') parens = Math.max(0, parens - 1)
    else if (t === '{' && parens === 0) braces++
    comma = false
    beforeThat = before
    before = t
  }
  return out.join('')
}
