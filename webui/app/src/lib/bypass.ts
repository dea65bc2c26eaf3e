// The entries of a bypass list as people type them. The server decides what one means; this says it in words, and what is
// surely wrong while it is being typed.

import { meaning, patternProblem } from './pattern.ts'

/** entries are those of a list, which has commas, semicolons or spaces between them. */
export function entries(list: string): string[] {
  return list.split(/[,;\s]+/).filter((e) => e !== '')
}

/** entryProblem says what is wrong with an entry, "" if nothing is that can be seen here. */
export function entryProblem(entry: string): string {
  const e = entry.trim()
  if (e.startsWith('<')) return ['<local>', '<-loopback>'].includes(e.toLowerCase()) ? '' : 'In angle brackets there is only <local> and <-loopback>.'
  if (e === '') return 'Name a host, such as build.corp.example, .corp.example or 10.0.0.0/8.'
  const p = e.startsWith('.') ? '*' + e : e
  const wrong = patternProblem(p)
  // Lists take stars anywhere, as those of other programs do: 192.168.*, api-*.corp.example.
  if (wrong.startsWith('A star') && /^[\w*.-]+(:\d+)?$/.test(p) && !p.includes('..')) return ''
  return wrong.replace('add one entry for each host', 'commas separate entries')
}

/** entryMeaning says which hosts an entry takes. */
export function entryMeaning(entry: string): string {
  const e = entry.trim().toLowerCase()
  if (e === '<local>') return 'Names without a dot, and this machine itself.'
  if (e === '<-loopback>') return 'This machine itself goes the way of all others after all.'
  if (e === '*') return 'Every host: the way is never taken.'
  const octets = /^((?:\d{1,3}\.){1,3})\*/.exec(e)?.[1]
  if (octets) return `Addresses that begin with ${octets.slice(0, -1)}.`
  const said = meaning(e.startsWith('.') ? '*' + e : e, true)
  // A number alone could be meant for a port or the beginning of an address.
  if (/^\d+$/.test(e)) return `A host whose name is “${e}”.`
  if (said) return said.replace(/, any port\.$/, '.')
  return entryProblem(e) === '' ? 'Every host of this shape.' : ''
}

/** added is a list with more entries, each once. What is wrong is left out and told. */
export function added(list: readonly string[], more: string): { list: string[]; wrong: string } {
  const next = [...list]
  for (const e of entries(more)) {
    const wrong = entryProblem(e)
    if (wrong) return { list: [...list], wrong: `${e}: ${wrong}` }
    if (!next.some((has) => has.toLowerCase() === e.toLowerCase())) next.push(e)
  }
  return { list: next, wrong: '' }
}
