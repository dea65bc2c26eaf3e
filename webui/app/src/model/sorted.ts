// The list in another order than that of the ids: the first thousand of all that match, as the server found them. It is a
// picture of a moment; what comes later is counted, and taken in when the reader asks.

import { signal } from '@preact/signals'
import * as api from '../api/totals.ts'
import type { Summary } from '../api/types.ts'
import { column } from './columns.ts'
import type { Sorting } from './look.ts'

const most = 1000

export class Sorted {
  readonly rows = signal<Summary[] | undefined>(undefined)
  readonly problem = signal('')
  /** Whether there is more than is shown. */
  readonly cut = signal(false)
  private asking: AbortController | undefined
  /** The revision that rows is of. */
  seq = 0

  async read(filter: string, by: Sorting): Promise<void> {
    this.asking?.abort()
    const asking = new AbortController()
    this.asking = asking
    try {
      const p = await api.sorted({ filter, sort: column(by.column).sort!, ascending: by.ascending, limit: most }, asking.signal)
      this.seq = p.seq
      this.cut.value = p.exchanges.length === most
      this.problem.value = ''
      this.rows.value = p.exchanges
    } catch (e) {
      if (asking.signal.aborted) return
      this.problem.value = e instanceof Error ? e.message : String(e)
    }
  }

  /** change puts a later revision in its row's place. */
  change(x: Summary): void {
    const rows = this.rows.value
    const at = rows?.findIndex((r) => r.id === x.id) ?? -1
    if (at < 0 || rows![at]!.seq >= x.seq) return
    this.rows.value = rows!.with(at, x)
  }

  forget(): void {
    this.asking?.abort()
    this.rows.value = undefined
  }
}
