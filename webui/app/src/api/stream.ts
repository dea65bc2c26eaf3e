// The live stream. A Stream keeps one WebSocket up, says how it is, and goes on where it was after a break: the cursor is
// the last revision number seen, and the server sends everything committed since then, once.

import type { Message, Summary } from './types.ts'

/** How the connection is. locked: eaves answers, but this browser's key is not valid (any more). */
export type Link = 'connecting' | 'live' | 'lost' | 'locked'

export interface Handler {
  /** A connection stands. resumed says that it goes on where the last one ended, in the same store. */
  hello(seq: number, resumed: boolean, store: string): void
  exchange(x: Summary): void
  removed(ids: number[]): void
  message(exchange: number, m: Message): void
  status(s: Record<string, unknown>): void
  gap(from: number, to: number): void
  /** The cursor was of another store or too old: read everything anew. */
  reset(): void
  link(state: Link): void
}

type Incoming =
  | { type: 'hello'; seq: number; store: string; version: string }
  | { type: 'exchange'; seq: number; exchange: Summary }
  | { type: 'removed'; seq: number; ids: number[] }
  | ({ type: 'message'; exchange: number; message?: Message } & Partial<Message>)
  | ({ type: 'status' } & Record<string, unknown>)
  | { type: 'gap'; from: number; to: number }
  | { type: 'reset' }

// eaves is near: asking often costs nothing, and is soon answered.
const shortest = 300
const longest = 2000

export class Stream {
  private socket: WebSocket | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private wait = shortest
  /** The last connection was lost, or none could be made. */
  private down = false
  private filter = ''
  private cursor: number | undefined
  private store: string | undefined
  private subscription: { exchange: number; after: number } | undefined

  constructor(private readonly handler: Handler, private readonly probe: () => Promise<'up' | 'locked' | 'down'>) {}

  /** open connects anew, with another filter or cursor. Without a cursor the stream begins with what comes next. */
  open(filter: string, cursor: number | undefined): void {
    this.filter = filter
    this.cursor = cursor
    this.wait = shortest
    this.connect()
  }

  /** seen moves the cursor: everything up to seq is known from elsewhere. */
  seen(seq: number): void {
    if (this.cursor === undefined || seq > this.cursor) this.cursor = seq
  }

  get seq(): number | undefined { return this.cursor }

  /** retry connects at once instead of at the next turn. */
  retry(): void {
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return
    this.wait = shortest
    this.connect()
  }

  close(): void {
    clearTimeout(this.timer)
    const s = this.socket
    this.socket = undefined
    s?.close()
  }

  /** subscribe asks for the messages of one exchange from now on, instead of those of the last one asked for. */
  subscribe(exchange: number, after: number): void {
    if (this.subscription && this.subscription.exchange !== exchange) this.tell({ type: 'unsubscribe', exchange: this.subscription.exchange })
    this.subscription = { exchange, after }
    this.tell({ type: 'subscribe', exchange, after })
  }

  unsubscribe(): void {
    if (this.subscription) this.tell({ type: 'unsubscribe', exchange: this.subscription.exchange })
    this.subscription = undefined
  }

  private tell(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private connect(): void {
    this.close()
    if (!this.down) this.handler.link('connecting')
    const q = new URLSearchParams()
    if (this.filter) q.set('filter', this.filter)
    const resuming = this.cursor
    if (resuming !== undefined) q.set('after', String(resuming))
    if (resuming !== undefined && this.store) q.set('store', this.store)
    const url = new URL(`/api/v1/stream?${q}`, location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url)
    this.socket = socket
    socket.onmessage = (e) => {
      if (this.socket === socket) this.take(JSON.parse(e.data as string) as Incoming, resuming)
    }
    socket.onclose = () => {
      if (this.socket === socket) void this.lost(socket)
    }
  }

  private async lost(socket: WebSocket): Promise<void> {
    if (!this.down) this.handler.link('lost')
    this.down = true
    this.timer = setTimeout(() => this.connect(), this.wait)
    this.wait = Math.min(this.wait * 2, longest)
    const why = await this.probe()
    // Tries go on when locked: the new address, opened in any tab, unlocks this one as well.
    if (this.socket === socket && this.down) this.handler.link(why === 'locked' ? 'locked' : 'lost')
  }

  private take(m: Incoming, resuming: number | undefined): void {
    const h = this.handler
    switch (m.type) {
      case 'hello': {
        const same = this.store === undefined || this.store === m.store
        this.store = m.store
        this.wait = shortest
        this.down = false
        h.link('live')
        const resumed = resuming !== undefined && same
        if (!resumed) this.cursor = m.seq
        h.hello(m.seq, resumed, m.store)
        if (this.subscription) this.tell({ type: 'subscribe', ...this.subscription })
        break
      }
      case 'exchange':
        this.seen(m.seq)
        h.exchange(m.exchange)
        break
      case 'removed':
        this.seen(m.seq)
        h.removed(m.ids)
        break
      case 'message': {
        const { exchange, message, ...rest } = m
        const msg = message ?? (rest as unknown as Message)
        if (this.subscription?.exchange === exchange && msg.n > this.subscription.after) this.subscription.after = msg.n
        h.message(exchange, msg)
        break
      }
      case 'status':
        h.status(m)
        break
      case 'gap':
        this.seen(m.to)
        h.gap(m.from, m.to)
        break
      case 'reset':
        // Where to go on from is not known until something comes; until then a new connection begins anew.
        this.cursor = undefined
        h.reset()
        break
    }
  }
}
