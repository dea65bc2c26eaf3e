// The feed keeps the window of rows current: it loads pages, follows the stream, and joins the two without missing or
// doubling anything: a page names the revision it is of, and the stream goes on from there.

import { batch, signal } from '@preact/signals'
import * as api from '../api/client.ts'
import { Stream, type Handler, type Link } from '../api/stream.ts'
import type { Message, Summary } from '../api/types.ts'
import { Rows } from './rows.ts'

const page = 200
/** Changes are drawn at most this often: fast enough to be live, slow enough to be read. */
const pace = 80
/** A gap of more changes than this is not read up change by change: the window is read anew. */
const longGap = 1000

export interface FilterProblem {
  filter: string
  column: number | undefined
  message: string
}

export interface Status {
  version: string
  proxy: string
  console: string
  ca: string
  data: string
  /** The file that TLS secrets of both sides are written to, empty for none. */
  keylog: string
  exchanges: number
  open: number
  queueDepth: number
  databaseSize: number
  bodiesSize: number
  recording: boolean
  health: 'ok' | 'degraded' | 'failing' | string
  problem: string
  hint: string
  lost: number
}

export class Feed {
  readonly rows = new Rows()
  /** Moves whenever rows have changed. */
  readonly version = signal(0)
  readonly link = signal<Link>('connecting')
  readonly filter = signal('')
  readonly problem = signal<FilterProblem | undefined>(undefined)
  readonly failure = signal('')
  readonly loading = signal(true)
  readonly status = signal<Partial<Status>>({})
  /** Whether the list shows the newest row and moves with it. */
  readonly following = signal(true)
  /** How many exchanges have begun since the list stopped following. */
  readonly fresh = signal(0)
  /** Rows on the screen, as indexes into rows.list; the list keeps it. */
  shown: [number, number] = [0, 0]

  onChange: (x: Summary) => void = () => {}
  onRemoved: (ids: number[]) => void = () => {}
  onMessage: (exchange: number, m: Message) => void = () => {}
  onStore: () => void = () => {}
  onLive: () => void = () => {}

  private readonly stream: Stream
  private generation = 0
  /** New exchanges that fresh does not count yet. */
  private begun = 0
  /** Those since the last count of them began, and the newest exchange when the list stopped following. */
  private since = 0
  private left = 0
  private freshening: ReturnType<typeof setTimeout> | undefined
  private drawn = 0
  private due = false
  private paging = { before: false, after: false }
  private store: string | undefined
  private retrying: ReturnType<typeof setTimeout> | undefined
  private recounting: ReturnType<typeof setTimeout> | undefined
  /** A page that is needed could not be read: it is, once the stream stands. */
  private awaiting = false

  constructor() {
    this.following.subscribe((on) => { if (!on) this.left = this.rows.newest })
    const handler: Handler = {
      hello: (_seq, resumed, store) => this.hello(resumed, store),
      exchange: (x) => this.take(x),
      removed: (ids) => this.forget(ids),
      message: (id, m) => this.onMessage(id, m),
      status: (s) => this.tell(s),
      gap: (from, to) => void this.catchUp(from, to),
      reset: () => void this.reload(),
      link: (state) => (this.link.value = state),
    }
    this.stream = new Stream(handler, probe)
  }

  subscribe(exchange: number, after: number): void { this.stream.subscribe(exchange, after) }
  unsubscribe(): void { this.stream.unsubscribe() }
  retry(): void { this.stream.retry() }

  /** open shows what matches filter. A filter with a mistake changes nothing but problem. */
  async open(filter: string, keepProblem = false): Promise<boolean> {
    const generation = ++this.generation
    this.loading.value = true
    try {
      const first = await api.list({ filter, limit: page })
      if (generation !== this.generation) return false
      batch(() => {
        if (!keepProblem) this.problem.value = undefined
        this.failure.value = ''
        this.filter.value = filter
        this.rows.clear()
        this.showTail(first)
        this.following.value = true
        this.fresh.value = 0
      })
      this.awaiting = false
      this.stream.open(filter, first.seq)
      return true
    } catch (e) {
      if (generation !== this.generation) return false
      this.refuse(filter, e)
      return false
    } finally {
      if (generation === this.generation) this.loading.value = false
    }
  }

  private refuse(filter: string, e: unknown): void {
    if (e instanceof api.Problem && e.status === 400) {
      this.problem.value = { filter, column: e.column, message: e.message.replace(/^column \d+: /, '') }
      return
    }
    if (e instanceof api.Problem && (e.status === 0 || e.status === 401)) {
      this.filter.value = filter
      this.awaiting = true
      this.stream.open(filter, undefined)
      return
    }
    this.failure.value = e instanceof Error ? e.message : String(e)
  }

  private hello(resumed: boolean, store: string): void {
    const other = this.store !== undefined && this.store !== store
    this.store = store
    if (other) {
      // Ids mean other exchanges here.
      this.rows.clear()
      this.following.value = true
      this.onStore()
    }
    if (other || this.awaiting || !resumed) void this.reload()
    this.awaiting = false
    void this.readStatus()
    this.onLive()
  }

  private async readStatus(): Promise<void> {
    try {
      this.tell(await api.status())
    } catch {
      // The stream says when the connection is lost.
    }
  }

  private tell(s: Record<string, unknown>): void {
    this.status.value = { ...this.status.value, ...(s as Partial<Status>) }
  }

  private showTail(p: { exchanges: Summary[] }): void {
    const all = p.exchanges.length < page
    const oldest = p.exchanges[p.exchanges.length - 1]?.id ?? 1
    const newest = p.exchanges[0]?.id ?? 1
    // As many rows as there would be if they were as close together everywhere; counting them can take a while.
    this.rows.replace(p.exchanges, { above: Math.round((oldest - 1) * (p.exchanges.length / (newest - oldest + 1))), below: 0, atStart: all, atEnd: true })
    if (!all) this.recount(0)
    this.draw()
  }

  /** reload reads the window anew: its end while following, else the rows around those on the screen. */
  async reload(): Promise<void> {
    const generation = ++this.generation
    const middle = this.rows.list[Math.max(0, Math.min((this.shown[0] + this.shown[1]) >> 1, this.rows.list.length - 1))]
    try {
      if (this.following.value || !middle) {
        const p = await api.list({ filter: this.filter.value, limit: page })
        if (generation !== this.generation) return
        const held = this.rows
        held.list = []
        this.showTail(p)
        if (p.exchanges.length === 0) held.clear()
      } else {
        await this.around(middle.id, generation)
        this.recount()
        void this.countFresh()
      }
      this.loading.value = false
      this.failure.value = ''
      this.awaiting = false
    } catch (e) {
      if (generation !== this.generation) return
      this.awaiting = true
      clearTimeout(this.retrying)
      this.retrying = setTimeout(() => { if (this.awaiting && this.link.value === 'live') void this.reload() }, 1000)
      if (!(e instanceof api.Problem && e.status === 0)) this.failure.value = String(e instanceof Error ? e.message : e)
    }
  }

  /** around makes the window the rows before and after id. */
  private async around(id: number, generation: number): Promise<void> {
    const filter = this.filter.value
    const before = await api.list({ filter, limit: page, before: id + 1 })
    const after = await api.list({ filter, limit: page, after: id })
    if (generation !== this.generation) return
    const atStart = before.exchanges.length < page
    const atEnd = after.exchanges.length < page
    const total = this.rows.total
    const rows = [...before.exchanges, ...after.exchanges]
    const newest = Math.max(this.rows.newest, id)
    // Ids are spread evenly enough to guess how many rows lie before this one.
    const share = newest > 0 ? Math.min(...rows.map((x) => x.id), id) / newest : 0
    const outside = Math.max(total - rows.length, 0)
    this.rows.replace(rows, { above: Math.round(outside * share), below: Math.round(outside * (1 - share)), atStart, atEnd })
    this.draw()
  }

  /** reveal brings the row with this id into the window. */
  async reveal(id: number): Promise<void> {
    if (this.rows.get(id)) return
    this.following.value = false
    try {
      await this.around(id, ++this.generation)
    } catch {
      // The link's state says so.
    }
  }

  /** jump makes the window the rows at a share (0 to 1) of everything. */
  async jump(share: number): Promise<void> {
    const generation = ++this.generation
    try {
      const oldest = (await api.list({ filter: this.filter.value, limit: 1, after: 0 })).exchanges[0]?.id ?? 1
      if (generation !== this.generation) return
      const newest = Math.max(this.rows.newest, oldest)
      await this.around(Math.round(oldest + share * (newest - oldest)), generation)
    } catch {
      // As above.
    }
  }

  /** tail goes to the newest rows and follows them. */
  async tail(): Promise<void> {
    batch(() => {
      this.following.value = true
      this.fresh.value = 0
    })
    if (!this.rows.atEnd) await this.reload()
    else this.draw()
  }

  /** need asks for more rows where the screen comes near an end of the window. */
  need(first: number, last: number): void {
    const margin = page / 2
    if (first < margin && !this.rows.atStart) void this.more('before')
    if (last > this.rows.list.length - margin && !this.rows.atEnd) void this.more('after')
  }

  private async more(side: 'before' | 'after'): Promise<void> {
    if (this.paging[side] || this.rows.list.length === 0) return
    this.paging[side] = true
    const generation = this.generation
    const edge = side === 'before' ? this.rows.first : this.rows.last
    try {
      const p = await api.list({ filter: this.filter.value, limit: page, [side]: edge })
      if (generation !== this.generation) return
      if (side === 'before' && this.rows.first === edge) this.rows.prepend(p.exchanges, page)
      if (side === 'after' && this.rows.last === edge) this.rows.append(p.exchanges, page)
      this.draw()
    } catch {
      // The next scroll asks again.
    } finally {
      this.paging[side] = false
    }
  }

  private take(x: Summary): void {
    const isNew = this.rows.apply(x)
    if (!this.following.peek() && x.id > this.left) {
      if (isNew) {
        this.begun++
        this.since++
      }
      this.freshening ??= setTimeout(() => void this.countFresh(), 1000)
    }
    this.onChange(x)
    this.draw()
  }

  private forget(ids: number[]): void {
    if (this.rows.remove(ids)) this.recount()
    this.onRemoved(ids)
    this.draw()
  }

  /** recount asks for the total, a little later and once for many reasons. */
  private recount(later = 2000): void {
    if (this.recounting && later > 0) return
    clearTimeout(this.recounting)
    this.recounting = setTimeout(() => {
      this.recounting = undefined
      const generation = this.generation
      api.list({ filter: this.filter.value, limit: 1, total: true }).then((p) => {
        if (generation !== this.generation || p.total === undefined) return
        this.rows.recount(p.total)
        this.draw()
      }, () => {})
    }, later)
  }

  /**
   * countFresh counts what has begun since the list stopped following. Exchanges are told of when they end, out of their order,
   * and some not at all where there is a gap: counting one by one is only what there is until the server has counted.
   */
  private async countFresh(): Promise<void> {
    clearTimeout(this.freshening)
    this.freshening = undefined
    if (!this.rows.atEnd) this.recount(0)
    const { generation, left } = this
    const filter = this.filter.value
    const stale = () => generation !== this.generation || this.following.peek() || left !== this.left
    try {
      const newest = (await api.list({ filter, limit: 1 })).exchanges[0]?.id ?? 0
      if (stale()) return
      // What comes from here on is counted one by one.
      const top = this.rows.newest = Math.max(this.rows.newest, newest)
      this.since = 0
      const { total } = await api.list({ filter: `${filter ? `(${filter}) ` : ''}id>${left} id<=${top}`, limit: 1, total: true })
      if (stale() || total === undefined) return
      this.begun = 0
      this.fresh.value = total + this.since
    } catch {
      // The number stays too low until it is counted again.
    }
  }

  private async catchUp(from: number, to: number): Promise<void> {
    if (to - from > longGap) return this.reload()
    const generation = this.generation
    try {
      for (let after = from; after < to;) {
        const p = await api.list({ filter: this.filter.value, limit: page, changedAfter: after })
        if (generation !== this.generation) return
        for (const x of p.exchanges) {
          this.take(x)
          after = Math.max(after, x.seq)
        }
        if (p.exchanges.length < page) break
      }
      // What was removed meanwhile is in no page of changes.
      this.recount()
    } catch {
      await this.reload()
    }
  }

  /** draw lets the page see the rows, at most once in a while. */
  private draw(): void {
    if (this.due) return
    this.due = true
    const run = () => {
      this.due = false
      this.drawn = performance.now()
      const end = this.rows.list.length
      const [first, last] = this.following.peek() ? [end, end] : this.shown
      this.rows.trim(first, last)
      batch(() => {
        this.fresh.value = this.following.peek() ? 0 : this.fresh.peek() + this.begun
        this.version.value++
      })
      this.begun = 0
    }
    const wait = this.drawn + pace - performance.now()
    if (document.hidden) setTimeout(run, pace)
    else if (wait <= 0) requestAnimationFrame(run)
    else setTimeout(() => (document.hidden ? run() : requestAnimationFrame(run)), wait)
  }
}

/** probe says why a stream may have failed: a browser does not tell. */
async function probe(): Promise<'up' | 'locked' | 'down'> {
  try {
    await api.status()
    return 'up'
  } catch (e) {
    return e instanceof api.Problem && (e.status === 401 || e.status === 403) ? 'locked' : 'down'
  }
}
