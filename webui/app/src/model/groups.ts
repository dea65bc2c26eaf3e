// Groups of exchanges and the filter: opening a group narrows the list to it, and the other groups stay to choose from.

import { terms, without, withTerm } from '../lib/terms.ts'
import type { Grouping } from './grouping.ts'

/** What the server gives as the filter of a group; a pattern with a star, or anything else that somebody wrote, is no group's. */
const own: Record<Grouping, RegExp> = {
  host: /^(?:host:[^*\s]+|host~"\^.*\$"|-host)$/,
  client: /^(?:client:[^*\s]+|client~"\^.*\$"|run=".*"|-client)$/,
  connection: /^(?:connection=".*"|-connection)$/,
}
const paths = /^(?:path=".*"|path~"\^.*"|-path)$/

/** chosen is the groups that a filter is narrowed to. */
export function chosen(filter: string, by: Grouping): string[] {
  const all = terms(filter).map((t) => t.text)
  return all.some((t) => /^or$/i.test(t)) ? [] : all.filter((t) => own[by].test(t) || (by === 'host' && paths.test(t)))
}

/** widened is a filter without its groups: what all groups are counted in. */
export function widened(filter: string, by: Grouping): string {
  return without(filter, ...chosen(filter, by))
}

/** narrowed is a filter narrowed to groups, in the place of those it was narrowed to before. */
export function narrowed(filter: string, by: Grouping, ...groups: string[]): string {
  return groups.reduce((f, g) => withTerm(f, g), widened(filter, by))
}
