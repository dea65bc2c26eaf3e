// The list's window of rows. The browser never holds the whole capture: it keeps a bounded, unbroken run of rows sorted
// by id, and knows (or estimates) how many matching rows lie before and after it. Pages widen the run at either end,
// committed changes are merged in, and trimming keeps it small around what is on the screen.

import type { Summary } from '../api/types.ts'

export class Rows {
  list: Summary[] = []
  /** Matching rows before and after the run; exact once an end has been seen, an estimate otherwise. */
  above = 0
  below = 0
  /** Whether the run begins with the first, ends with the last row there is. */
  atStart = true
  atEnd = true
  /** The highest id ever seen: a change with a higher one is a new exchange. */
  newest = 0
  /** Ids removed while a page was under way, so that an old page cannot bring them back. */
  private removed = new Set<number>()

  constructor(readonly max = 1500) {}

  get first(): number { return this.list[0]?.id ?? 0 }
  get last(): number { return this.list[this.list.length - 1]?.id ?? 0 }
  get total(): number { return this.above + this.list.length + this.below }

  clear(): void {
    this.list = []
    this.above = this.below = this.newest = 0
    this.atStart = this.atEnd = true
    this.removed.clear()
  }

  /** place is the index of the first row whose id is at least id. */
  place(id: number): number {
    let lo = 0
    let hi = this.list.length
    while (lo < hi) {
      const mid = (lo + hi) >> 1
      if (this.list[mid]!.id < id) lo = mid + 1
      else hi = mid
    }
    return lo
  }

  get(id: number): Summary | undefined {
    const row = this.list[this.place(id)]
    return row?.id === id ? row : undefined
  }

  /** apply merges one committed change. It says whether the exchange is a new one. */
  apply(x: Summary): boolean {
    const isNew = x.id > this.newest
    if (isNew) this.newest = x.id
    const at = this.place(x.id)
    const old = this.list[at]
    if (old?.id === x.id) {
      if (x.seq > old.seq) this.list[at] = x
    } else if (at === this.list.length) {
      if (this.atEnd) this.list.push(x)
      else if (isNew) this.below++
    } else if (at > 0 || this.atStart) {
      this.list.splice(at, 0, x)
    }
    return isNew
  }

  /** remove forgets rows. It says whether an estimate has become doubtful: ids outside the run may have counted or not. */
  remove(ids: number[]): boolean {
    let doubtful = false
    const gone = new Set(ids)
    for (const id of gone) {
      this.removed.add(id)
      if (!this.get(id)) doubtful = true
    }
    if (this.removed.size > 10000) this.removed.clear()
    this.list = this.list.filter((x) => !gone.has(x.id))
    return doubtful
  }

  /** replace starts over with a page (any order) that says how many rows lie around it. */
  replace(page: Summary[], around: { above: number; below: number; atStart: boolean; atEnd: boolean }): void {
    const fresher = this.list
    const old = new Map(fresher.map((x) => [x.id, x]))
    this.list = sorted(page.filter((x) => !this.removed.has(x.id)).map((x) => newer(x, old.get(x.id))))
    this.atStart = around.atStart
    this.atEnd = around.atEnd
    this.above = around.atStart ? 0 : Math.max(around.above, 1)
    this.below = around.atEnd ? 0 : Math.max(around.below, 1)
    // Changes that came while the page was under way belong behind it.
    if (this.atEnd) for (const x of fresher) if (x.id > this.last && !this.removed.has(x.id)) this.list.push(x)
    this.newest = Math.max(this.newest, this.last)
  }

  /** prepend widens the run by the page before it; a page shorter than was asked for is the first one. */
  prepend(page: Summary[], asked: number): void {
    const more = sorted(page).filter((x) => x.id < (this.list.length ? this.first : Infinity) && !this.removed.has(x.id))
    this.list = [...more, ...this.list]
    this.atStart = page.length < asked
    this.above = this.atStart ? 0 : Math.max(this.above - more.length, 1)
    this.newest = Math.max(this.newest, this.last)
  }

  /** append widens the run by the page after it. */
  append(page: Summary[], asked: number): void {
    const more = sorted(page).filter((x) => x.id > this.last && !this.removed.has(x.id))
    this.list = [...this.list, ...more]
    this.atEnd = page.length < asked
    this.below = this.atEnd ? 0 : Math.max(this.below - more.length, 1)
    this.newest = Math.max(this.newest, this.last)
  }

  /** recount takes the total the server counted. */
  recount(total: number): void {
    const outside = Math.max(total - this.list.length, 0)
    if (this.atStart && this.atEnd) return
    if (this.atEnd) this.above = Math.max(outside, 1)
    else if (this.atStart) this.below = Math.max(outside, 1)
    else {
      const sum = this.above + this.below
      const share = sum > 0 ? this.above / sum : 0.5
      this.above = Math.max(Math.round(outside * share), 1)
      this.below = Math.max(outside - this.above, 1)
    }
  }

  /** trim drops what is far from the rows on the screen, once the run has grown half as long again as it should be. */
  trim(firstShown: number, lastShown: number): void {
    if (this.list.length <= this.max * 1.5) return
    const middle = Math.min(Math.max((firstShown + lastShown) >> 1, 0), this.list.length - 1)
    const from = Math.max(Math.min(middle - (this.max >> 1), this.list.length - this.max), 0)
    const to = Math.min(from + this.max, this.list.length)
    if (from > 0) {
      this.above += from
      this.atStart = false
    }
    if (to < this.list.length) {
      this.below += this.list.length - to
      this.atEnd = false
    }
    this.list = this.list.slice(from, to)
  }
}

function sorted(page: Summary[]): Summary[] {
  return [...page].sort((a, b) => a.id - b.id)
}

function newer(a: Summary, b: Summary | undefined): Summary {
  return b && b.seq > a.seq ? b : a
}
