// How the reader wants the list to look: columns, what stands beside and above it, and in which order. It is remembered, apart
// from the order, which is for one look at it.

import { effect, signal } from '@preact/signals'
import { recall, remember } from '../lib/remember.ts'
import { column, read, usual, type Chosen, type ColumnId } from './columns.ts'
import { groupings, type Grouping } from './grouping.ts'

export interface Sorting {
  column: ColumnId
  ascending: boolean
}

export class Look {
  readonly columns = signal<Chosen[]>(recall('columns', read))
  /** Whether the sources stand beside the list, and by what they are told apart. */
  readonly sources = signal<boolean>(recall('sources', (kept) => kept === true))
  readonly grouping = signal<Grouping>(recall('grouping', (kept) => groupings.find((g) => g === kept) ?? 'host'))
  /** Whether the timeline stands above the list. */
  readonly timeline = signal<boolean>(recall('timeline', (kept) => kept !== false))
  /** undefined: as they came. */
  readonly sorting = signal<Sorting | undefined>(undefined)
  /** Whether the columns are being chosen. */
  readonly choosing = signal(false)

  /** keep remembers what changes from now on. */
  keep(): void {
    let first = true
    effect(() => {
      const kept: [string, unknown][] = [['columns', this.columns.value], ['sources', this.sources.value], ['grouping', this.grouping.value], ['timeline', this.timeline.value]]
      if (!first) for (const [name, value] of kept) remember(name, value)
      first = false
    })
  }

  /** sortBy sorts by a column, the largest first; then the other way round; then not at all. */
  sortBy(id: ColumnId): void {
    if (!column(id).sort) return
    const was = this.sorting.value
    if (was?.column !== id) this.sorting.value = { column: id, ascending: false }
    else this.sorting.value = was.ascending ? undefined : { column: id, ascending: true }
  }

  reset(): void { this.columns.value = [...usual] }
}
