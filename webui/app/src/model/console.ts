// What the console knows and does, apart from drawing it: the view in the address bar, the selection and its detail, and
// every action that a key or a button can start.

import { batch, computed, effect, signal } from '@preact/signals'
import * as api from '../api/client.ts'
import type { ClientCertificateEntry, Policy, RouteRule, Trial, TrustEntry } from '../api/settings.ts'
import type { Exchange, Overrides, Summary } from '../api/types.ts'
import { curl, longestInline } from '../lib/curl.ts'
import { fix } from '../lib/fix.ts'
import { plural } from '../lib/format.ts'
import { hostname } from '../lib/url.ts'
import { Batch, once, planProblem, Watch, type Plan } from './batch.ts'
import { Feed } from './feed.ts'
import { Look } from './look.ts'
import { Sorted } from './sorted.ts'
import { Filters } from './filters.ts'
import { format, parse, type Section, type Tab, type View } from './location.ts'

export interface Toast {
  key: number
  text: string
  kind: 'done' | 'failed'
  action?: { label: string; run: () => void }
}

/** A form that sends a request: a copy of an exchange's, or an empty one. */
export interface Draft {
  of: Exchange | undefined
}

/** Two exchanges that are looked at side by side. */
export interface Pair {
  a: number
  b: number
  /** Why these two. */
  why?: string
}

/** A form of the settings that is open: a new entry, with what is known of it already, or one that is changed. */
export interface Form {
  section: Section
  /** The entry to change; undefined: a new one. */
  was?: ClientCertificateEntry | TrustEntry | Policy | RouteRule
  host?: string
  files?: File[]
}

/** An address that is tried out, hop by hop. */
export interface Try extends Trial {
  /** A way that is not kept yet is tried as it is: nothing about it is to be chosen. */
  way?: NewWay
  title: string
}

/** A way that is being set, and who the proxies on it are to be told that we are. */
export interface NewWay {
  via: string[]
  bypass?: string
  user?: string
  password?: string
  /** What a trial of it cannot show. */
  note?: string
}

/** As many marks are remembered in their order. */
const keptMarks = 50
/** How long a deletion can be taken back. */
const grace = 5000

export class Console {
  readonly feed = new Feed()
  readonly look = new Look()
  readonly sorted = new Sorted()
  readonly filters = new Filters()
  readonly page = signal<View['page']>('traffic')
  readonly section = signal<Section>('certificates')
  readonly form = signal<Form | undefined>(undefined)
  readonly trying = signal<Try | undefined>(undefined)
  /** Counts what was changed in the settings, so that what shows them reads anew. */
  readonly settled = signal(0)
  readonly typed = signal('')
  readonly selected = signal<number | undefined>(undefined)
  readonly tab = signal<Tab>('overview')
  readonly detail = signal<Exchange | undefined>(undefined)
  readonly detailProblem = signal('')
  readonly toasts = signal<Toast[]>([])
  readonly draft = signal<Draft | undefined>(undefined)
  /** The exchange that is to be sent again in another way. */
  readonly resending = signal<Summary | undefined>(undefined)
  readonly comparing = signal<Pair | undefined>(undefined)
  /** The exchange that is to be sent again as several, on several ways. */
  readonly matrix = signal<Summary | undefined>(undefined)
  /** Requests that are being sent several times. */
  readonly batches = signal<readonly Batch[]>([])
  readonly watch = new Watch(async (ids) => (await api.list({ filter: `id in (${ids.join(',')}) -is:open`, limit: ids.length })).exchanges)
  readonly help = signal(false)
  /** Whether the palette of actions is open. */
  readonly palette = signal(false)
  /** Whether the list of filters at hand is open. */
  readonly quick = signal(false)
  readonly confirming = signal<{ text: string; label: string; run: () => void } | undefined>(undefined)
  readonly recording = signal<boolean | undefined>(undefined)
  /** Deleted on the screen, not yet in the store. */
  readonly leaving = signal<ReadonlySet<number>>(new Set())
  /** Counts how often following was asked for. */
  readonly follow = signal(0)
  /** Tells the screen reader what a key has done. */
  readonly spoken = signal('')

  /** The selection's latest summary: that of the list, else of the detail. */
  readonly current = computed<Summary | undefined>(() => {
    void this.feed.version.value
    const id = this.selected.value
    if (id === undefined) return undefined
    const row = this.feed.rows.get(id) ?? this.sorted.rows.value?.find((x) => x.id === id)
    const detail = this.detail.value?.id === id ? this.detail.value : undefined
    return row && (!detail || row.seq >= detail.seq) ? row : detail
  })

  private keys = 0
  /** What was marked here, the last one last. */
  private marked: readonly number[] = []
  private loading: AbortController | undefined
  /** What is to be edited once its details are here. */
  private editing: number | undefined
  private again: ReturnType<typeof setTimeout> | undefined
  private applying: ReturnType<typeof setTimeout> | undefined
  private departures = new Map<number, ReturnType<typeof setTimeout>>()

  start(): void {
    this.look.keep()
    this.feed.onChange = (x) => this.changed(x)
    this.feed.onRemoved = (ids) => {
      if (this.selected.value !== undefined && ids.includes(this.selected.value)) void this.checkSelection(this.selected.value)
    }
    this.feed.onStore = () => {
      this.select(undefined)
      this.say('This is another capture than before: the list was read anew.')
    }
    this.feed.onLive = () => {
      const id = this.selected.value
      if (id !== undefined) void this.load(id)
    }
    this.read(location.hash)
    let known = location.hash
    window.addEventListener('hashchange', () => {
      known = location.hash
      this.read(known)
    })
    window.addEventListener('online', () => this.feed.retry())
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.feed.retry() })
    window.addEventListener('pagehide', () => this.depart())
    // Browsers allow a few hundred changes of the address in a while: a key held down makes more.
    let written = 0
    let due: ReturnType<typeof setTimeout> | undefined
    effect(() => {
      const hash = format(this.view())
      clearTimeout(due)
      due = setTimeout(() => {
        // An address that somebody else has just set is to be read, not written over.
        if (location.hash !== known || hash === known || (hash === '#/' && known === '')) return
        written = Date.now()
        history.replaceState(null, '', hash)
        known = hash
      }, Math.max(0, written + 250 - Date.now()))
    })
    effect(() => {
      const r = this.feed.status.value.recording
      if (typeof r === 'boolean') this.recording.value = r
    })
    this.filters.follow(this.feed.filter)
    void this.readRecording()
  }

  private async readRecording(): Promise<void> {
    try {
      this.recording.value = await api.recording()
    } catch {
      // Shown as unknown; the stream's status says it later.
    }
  }

  private opened: string | undefined

  private read(hash: string): void {
    const view = parse(hash)
    batch(() => {
      this.page.value = view.page
      this.section.value = view.section
      if (view.grouping) this.look.grouping.value = view.grouping
      this.tab.value = view.tab
    })
    if (this.opened === undefined || view.filter !== this.feed.filter.value) {
      this.typed.value = view.filter
      this.opened = view.filter
      // The selection stays in the address while the list is being read.
      this.feed.filter.value = view.filter
      if (view.id !== undefined) this.selected.value = view.id
      void this.feed.open(view.filter).then((done) => {
        // An address with a mistake in its filter shows everything, and the mistake.
        if (!done && this.feed.problem.value) void this.feed.open('', true)
        if (view.id !== undefined && !this.feed.rows.get(view.id)) void this.feed.reveal(view.id)
      })
    }
    if (view.id !== this.selected.peek() || (view.id !== undefined && this.detail.peek()?.id !== view.id)) this.select(view.id)
  }

  // --- filter

  /** type takes what is in the filter box; it is applied when typing pauses. */
  type(text: string): void {
    this.typed.value = text
    clearTimeout(this.applying)
    this.applying = setTimeout(() => void this.applyFilter(), 300)
  }

  async applyFilter(): Promise<boolean> {
    clearTimeout(this.applying)
    const text = this.typed.value.trim()
    if (text === this.feed.filter.value && !this.feed.problem.value) return true
    return this.feed.open(text)
  }

  setFilter(text: string): void {
    this.typed.value = text
    this.page.value = 'traffic'
    void this.applyFilter()
  }

  // --- selection

  select(id: number | undefined): void {
    if (id === this.selected.value && (id === undefined || this.detail.value?.id === id)) return
    this.editing = undefined
    batch(() => {
      this.selected.value = id
      this.detailProblem.value = ''
      if (id === undefined) this.detail.value = undefined
    })
    if (id !== undefined) void this.load(id)
  }

  setTab(tab: Tab): void { this.tab.value = tab }

  /** step moves the selection by rows of the list. */
  step(by: number): void {
    const rows = this.feed.rows
    const other = this.sorted.rows.value
    const visible = other ?? rows.list
    if (visible.length === 0) return
    const id = this.selected.value
    let at: number
    if (other) at = id === undefined ? 0 : other.findIndex((x) => x.id === id) + by
    else if (id === undefined) at = by > 0 && !this.feed.following.value ? this.feed.shown[0] : visible.length - 1
    else {
      at = rows.place(id)
      if (visible[at]?.id !== id && by > 0) at--
      at += by
    }
    at = Math.max(0, Math.min(visible.length - 1, at))
    while (this.leaving.value.has(visible[at]!.id) && visible[at + Math.sign(by || 1)]) at += Math.sign(by || 1)
    this.select(visible[at]!.id)
  }

  private async load(id: number): Promise<void> {
    this.loading?.abort()
    clearTimeout(this.again)
    const loading = new AbortController()
    this.loading = loading
    try {
      const x = await api.exchange(id, loading.signal)
      if (this.selected.value !== id) return
      batch(() => {
        this.detail.value = x
        this.detailProblem.value = ''
        if (this.editing === id) this.edit()
      })
      // An open exchange that the filter keeps out of the stream is asked for now and then.
      if (x.state === 'open' && !this.feed.rows.get(id)) this.again = setTimeout(() => void this.load(id), 700)
    } catch (e) {
      if (loading.signal.aborted || this.selected.value !== id) return
      const gone = e instanceof api.Problem && e.status === 404
      batch(() => {
        if (gone) this.detail.value = undefined
        this.detailProblem.value = gone ? `Exchange ${id} is not in this capture (any more).` : message(e)
      })
    } finally {
      if (this.loading === loading) this.loading = undefined
    }
  }

  private changed(x: Summary): void {
    this.sorted.change(x)
    if (x.id !== this.selected.value) return
    const seen = this.detail.value
    if (seen?.id === x.id && seen.seq >= x.seq) return
    clearTimeout(this.again)
    this.again = setTimeout(() => void this.load(x.id), this.loading ? 150 : 0)
  }

  private async checkSelection(id: number): Promise<void> {
    try {
      await api.exchange(id)
    } catch (e) {
      if (e instanceof api.Problem && e.status === 404 && this.selected.value === id) this.select(undefined)
    }
  }

  /** followTail goes to the newest row and follows, also past the selection. */
  followTail(): void {
    this.look.sorting.value = undefined
    this.follow.value++
    void this.feed.tail()
  }

  /** oldest and newest select the first and the last exchange there is. */
  async oldest(): Promise<void> {
    if (this.sorted.rows.value) return this.select(this.sorted.rows.value[0]?.id)
    if (!this.feed.rows.atStart) await this.feed.jump(0)
    this.select(this.feed.rows.list[0]?.id)
  }

  async newest(): Promise<void> {
    if (this.sorted.rows.value) return this.select(this.sorted.rows.value.at(-1)?.id)
    await this.feed.tail()
    this.select(this.feed.rows.list[this.feed.rows.list.length - 1]?.id)
  }

  // --- actions on the selection

  /** resend asks how the selection is to be sent again: as whom, and which way. */
  resend(): void {
    const x = this.current.value
    if (x && x.kind !== 'tunnel') this.resending.value = x
  }

  /** sendAgain sends an exchange's request with what is to be different. It throws what the server says against it. */
  async sendAgain(x: Summary, overrides: Overrides, plan = once): Promise<void> {
    if (plan.times > 1) {
      await this.sendMany(`#${x.id} again`, plan, x.id, () => api.replay(x.id, overrides))
      this.resending.value = undefined
      return
    }
    const show = this.shower()
    const created = await api.replay(x.id, overrides)
    this.resending.value = undefined
    show(created, 'Sent again', x.id)
  }

  async replay(id = this.selected.value, overrides: Overrides = {}): Promise<void> {
    if (id === undefined) return
    await this.attempt('Sending again failed', async () => {
      const show = this.shower()
      show(await api.replay(id, overrides), 'Sent again', id)
    })
  }

  /** shower shows the exchange that is being made, unless its answer finds the reader on another page than it was asked from. */
  private shower(): (id: number, said: string, of?: number) => void {
    const asked = this.page.peek()
    return (id, said, of) => {
      const open = () => {
        this.page.value = 'traffic'
        this.select(id)
      }
      if (this.page.peek() !== asked) {
        this.say(`${said} as #${id}.`, { label: 'Show', run: open })
        return
      }
      open()
      this.say(`${said} as #${id}.`, of === undefined ? undefined : { label: `Back to #${of}`, run: () => this.select(of) })
    }
  }

  /** sendMany sends a request several times. It throws what the server says against the first. */
  async sendMany(title: string, plan: Plan, of: number | undefined, send: () => Promise<number>): Promise<void> {
    const wrong = planProblem(plan)
    if (wrong) throw new Error(wrong)
    const batch = new Batch(title, plan, { send, wait: (id, signal) => this.watch.wait(id, signal) }, of)
    this.batches.value = [...this.batches.value, batch]
    try {
      const ran = batch.run()
      // Whoever asks is told as soon as one is on its way: the others go on behind.
      await Promise.race([ran, new Promise<void>((begun) => {
        const stop = batch.progress.subscribe((p) => { if (p.sent > 0) { begun(); queueMicrotask(() => stop()) } })
      })])
      void ran.catch(() => {})
    } catch (e) {
      this.dropBatch(batch)
      throw e
    }
  }

  dropBatch(batch: Batch): void {
    batch.cancel()
    this.batches.value = this.batches.value.filter((b) => b !== batch)
  }

  /** diffWithMarked compares the selection with the exchange that was marked last; where none is, a replay with its original. */
  async diffWithMarked(): Promise<void> {
    const id = this.selected.value
    if (id === undefined) return
    await this.attempt('Comparing failed', async () => {
      const here = this.marked.filter((m) => m !== id)
      // Marks go away elsewhere, too: in another page, by the command line, with their exchange.
      const still = here.length > 0 ? new Set((await api.list({ filter: `is:marked id in (${here.join(',')})`, limit: here.length })).exchanges.map((x) => x.id)) : new Set<number>()
      const last = here.findLast((m) => still.has(m))
      const marked = last ?? (await api.list({ filter: 'is:marked', limit: 2 })).exchanges.map((x) => x.id).filter((m) => m !== id).sort((a, b) => b - a)[0]
      const original = this.current.value?.replayOf
      if (!marked && original) {
        this.comparing.value = { a: original, b: id, why: `#${original} is what #${id} was sent again from.` }
        return
      }
      if (!marked) {
        this.say('Mark another exchange first (m), to compare this one with it.')
        return
      }
      this.comparing.value = { a: marked, b: id, why: last ? `#${marked} is the one marked last.` : `#${marked} is the newest marked one.` }
    })
  }

  edit(): void {
    const x = this.detail.value
    this.editing = undefined
    if (x && x.id === this.selected.value) this.draft.value = { of: x }
    else this.editing = this.selected.value
  }

  compose(): void { this.draft.value = { of: undefined } }

  /** submit sends a draft. It throws what the server says against it. */
  async submit(draft: Draft, overrides: Overrides, plan = once): Promise<void> {
    const of = draft.of?.id
    const send = () => (of !== undefined ? api.replay(of, overrides) : api.compose(overrides))
    if (plan.times > 1) {
      await this.sendMany(of !== undefined ? `#${of}, edited` : 'New request', plan, of, send)
      this.draft.value = undefined
      return
    }
    const show = this.shower()
    const id = await send()
    this.draft.value = undefined
    show(id, 'Sent', draft.of?.id)
  }

  async copyCurl(): Promise<void> {
    const id = this.selected.value
    if (id === undefined) return
    await this.attempt('Copying failed', async () => {
      const x = this.detail.value?.id === id ? this.detail.value : await api.exchange(id)
      const body = x.request.bodySize !== 0 ? (await api.bodyRange(id, 'request', false, 0, 1 << 20)).bytes : undefined
      await copy(curl(x, body))
      if (body && body.length > longestInline) this.say(`Copied as curl; save the request’s body as request-${id}.body beside it.`)
      else this.say(/cookie|authorization/i.test((x.request.headers ?? []).map((f) => f.name).join())
        ? 'Copied as curl, with its credentials.' : 'Copied as curl.')
    })
  }

  async copyText(text: string, what: string): Promise<void> {
    await this.attempt('Copying failed', async () => {
      await copy(text)
      this.say(`${what} copied.`)
    })
  }

  /** copyLink copies an address that opens this view again, in a browser that knows this console. */
  async copyLink(): Promise<void> {
    await this.copyText(location.origin + location.pathname + format(this.view()), 'Link')
  }

  private view(): View {
    return { page: this.page.value, section: this.section.value, grouping: this.look.grouping.value, filter: this.feed.filter.value, id: this.selected.value, tab: this.tab.value }
  }

  async toggleMark(): Promise<void> {
    const x = this.current.value
    if (!x) return
    await this.attempt('Marking failed', async () => {
      const marked = await api.mark(x.id, x.mark ? '' : 'marked')
      if (this.selected.value === x.id) this.detail.value = marked
      this.marked = [...this.marked.filter((m) => m !== x.id), ...(x.mark ? [] : [x.id])].slice(-keptMarks)
      this.spoken.value = x.mark ? `Mark of ${x.id} removed` : `${x.id} marked`
    })
  }

  /** delete takes the selection off the list, and out of the store once nobody has wanted it back. */
  delete(): void {
    const id = this.selected.value
    if (id === undefined || this.leaving.value.has(id)) return
    const rows = this.feed.rows
    const at = rows.place(id)
    const next = rows.list[at]?.id === id ? (rows.list[at + 1] ?? rows.list[at - 1]) : undefined
    this.leaving.value = new Set([...this.leaving.value, id])
    this.select(next?.id)
    const toast = this.say(`#${id} deleted.`, {
      label: 'Undo',
      run: () => {
        clearTimeout(this.departures.get(id))
        this.stay(id)
        this.select(id)
      },
    })
    this.departures.set(id, setTimeout(() => {
      this.dismiss(toast)
      void this.attempt('Deleting failed', () => api.remove(`id:${id}`)).then(() => this.stay(id))
    }, grace))
  }

  private stay(id: number): void {
    this.departures.delete(id)
    const left = new Set(this.leaving.value)
    left.delete(id)
    this.leaving.value = left
  }

  private depart(): void {
    for (const [id, timer] of this.departures) {
      clearTimeout(timer)
      void api.remove(`id:${id}`, true).catch(() => {})
    }
    this.departures.clear()
  }

  /** clear deletes everything the filter shows, after a question. */
  async clear(): Promise<void> {
    const filter = this.feed.filter.value
    const n = this.feed.rows.total
    // The question does not wait long for how many of them are marked.
    const marked = await api.list({ filter: `${filter ? `(${filter}) ` : ''}is:marked`, limit: 1, total: true }, AbortSignal.timeout(1500)).then((p) => p.total, () => undefined)
    const among = marked === undefined ? ', marked ones among them' : marked > 0 ? `, ${marked.toLocaleString('en-US')} of them marked` : ''
    const what = filter ? `the ${plural(n, 'exchange')} that match “${filter}”${among}` : `all ${plural(n, 'exchange')} in this capture${among}`
    this.confirming.value = {
      text: `Delete ${what}? This cannot be undone.`,
      label: 'Delete',
      run: () => void this.attempt('Deleting failed', () => api.remove(filter)),
    }
  }

  async toggleRecording(): Promise<void> {
    const on = !(this.recording.value ?? true)
    await this.attempt('Switching failed', async () => {
      this.recording.value = await api.setRecording(on)
      this.spoken.value = on ? 'Recording' : 'Recording paused; traffic flows on'
    })
  }

  async passThrough(url: string): Promise<void> {
    const host = hostname(url)
    await this.attempt('Adding the rule failed', async () => {
      await api.addRule({ enabled: true, filter: host, action: 'passthrough' })
      this.say(`${host} is passed through from now on.`, { label: 'Rules', run: () => (this.page.value = 'rules') })
    })
  }

  /** mend does what helps with a failure: opens the form for it, filled in, or does it at once. */
  mend(x: Summary | undefined = this.current.value): void {
    const f = x && fix(x)
    if (!f) return
    switch (f.kind) {
      case 'pass': void this.passThrough(x.request.url.replace(/^tcp:/, 'https:')); break
      case 'ca': this.page.value = 'start'; break
      case 'trust': this.settings('trust', { host: f.host }); break
      case 'certificate': this.settings('certificates', { host: f.host }); break
      case 'credentials': this.settings('routes'); break
      case 'tls': this.settings('tls', { host: f.host }); break
      case 'try': this.try({ url: x.request.url.replace(/^ws/, 'http') }); break
    }
  }

  // --- settings

  /** settings shows a part of the settings, with a form open if one is given. */
  settings(section: Section = this.section.value, form?: Omit<Form, 'section'>): void {
    batch(() => {
      this.page.value = 'settings'
      this.section.value = section
      this.form.value = form && { ...form, section }
    })
  }

  /** try opens the test of an address; nothing is connected to before its button is pressed. */
  try(what: Partial<Try> & { url: string }): void {
    this.trying.value = { title: 'Test an address', ...what }
  }

  toggleSettings(): void {
    this.page.value = this.page.value === 'settings' ? 'traffic' : 'settings'
  }

  /** change does something to the settings, and lets everybody who shows them read anew. */
  async change(what: string, run: () => Promise<void>, done?: string): Promise<void> {
    await this.attempt(what, async () => {
      await run()
      if (done) this.say(done)
    })
    this.settled.value++
  }

  // --- words

  say(text: string, action?: Toast['action']): number {
    return this.toast({ text, kind: 'done', action })
  }

  dismiss(key: number): void {
    this.toasts.value = this.toasts.value.filter((t) => t.key !== key)
  }

  private toast(t: Omit<Toast, 'key'>): number {
    const key = ++this.keys
    this.toasts.value = [...this.toasts.value.slice(-2), { ...t, key }]
    setTimeout(() => this.dismiss(key), t.kind === 'failed' ? 12000 : grace + 500)
    return key
  }

  /** attempt does what may fail, and says so if it does. */
  async attempt(what: string, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (e) {
      this.toast({ text: `${what}: ${message(e)}`, kind: 'failed' })
    }
  }
}

export function message(e: unknown): string {
  return e instanceof Error ? e.message : String(e)
}

/** copy puts text on the clipboard, also where the page is not in a secure context (a console on another machine). */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text)
      return
    } catch {
      // Refused: the old way may still be open.
    }
  }
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'offscreen'
  document.body.append(area)
  const focus = document.activeElement
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (focus instanceof HTMLElement) focus.focus()
  if (!done) throw new Error('the browser does not let this page use the clipboard')
}
