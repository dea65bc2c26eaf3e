// Sending many: several at once, with a pause between them, until all have ended or somebody has had enough.

import { signal } from '@preact/signals'
import type { Summary } from '../api/types.ts'

/** What a batch asks for: how often, how many at once, and how long to wait before each further one. */
export interface Plan {
  times: number
  concurrency: number
  pause: number
}

export const once: Plan = { times: 1, concurrency: 1, pause: 0 }

/** The most that is sent from here; eaves replay sends more. */
export const mostTimes = 10_000
export const mostAtOnce = 100

/** planProblem says what is wrong with a plan, "" if nothing. */
export function planProblem(p: Plan): string {
  if (!Number.isInteger(p.times) || p.times < 1 || p.times > mostTimes) return `Send it 1 to ${mostTimes.toLocaleString('en-US')} times.`
  if (!Number.isInteger(p.concurrency) || p.concurrency < 1 || p.concurrency > mostAtOnce) return `Send 1 to ${mostAtOnce} at once.`
  if (!(p.pause >= 0) || p.pause > 3_600_000) return 'A pause is 0 ms to an hour.'
  return ''
}

/** A request that is sent, and the waiting for what becomes of it. */
export interface Sender {
  send(n: number): Promise<number>
  wait(id: number, signal: AbortSignal): Promise<Summary>
}

export interface Progress {
  sent: number
  done: number
  /** How many ended with each status; "failed" for those without an answer. */
  outcomes: ReadonlyMap<string, number>
  first: number | undefined
  last: number | undefined
  /** Why nothing more is sent. */
  problem: string
  ended: boolean
}

const begun: Progress = { sent: 0, done: 0, outcomes: new Map(), first: undefined, last: undefined, problem: '', ended: false }

/** Batch sends by a plan. */
export class Batch {
  readonly progress = signal<Progress>(begun)
  private readonly abort = new AbortController()

  constructor(readonly title: string, readonly plan: Plan, private readonly sender: Sender, readonly of?: number) {}

  /** cancel sends nothing more. What is under way ends by itself. */
  cancel(): void { this.abort.abort() }

  get cancelled(): boolean { return this.abort.signal.aborted }

  /** run sends everything. It throws what was said against the first of all. */
  async run(): Promise<void> {
    let next = 0
    let refused: unknown
    let due = 0
    const worker = async () => {
      while (!this.cancelled && refused === undefined && next < this.plan.times) {
        const n = next++
        if (n > 0 && this.plan.pause > 0) {
          // Pauses are between any two, whoever sends them.
          due = Math.max(due, performance.now()) + this.plan.pause
          await sleep(due - performance.now(), this.abort.signal)
          if (this.cancelled) return
        }
        try {
          const id = await this.sender.send(n)
          this.change((p) => ({ ...p, sent: p.sent + 1, first: Math.min(p.first ?? id, id), last: Math.max(p.last ?? id, id) }))
          const x = await this.sender.wait(id, this.abort.signal)
          this.change((p) => ({ ...p, done: p.done + 1, outcomes: counted(p.outcomes, outcome(x)) }))
        } catch (e) {
          if (!this.cancelled) refused ??= e
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.plan.concurrency, this.plan.times) }, worker))
    this.change((p) => ({ ...p, ended: true, problem: refused === undefined ? '' : refused instanceof Error ? refused.message : String(refused) }))
    if (refused !== undefined && this.progress.value.sent === 0) throw refused
  }

  private change(f: (p: Progress) => Progress): void { this.progress.value = f(this.progress.value) }
}

function outcome(x: Summary): string {
  if (x.state === 'failed' || !x.response?.status) return 'failed'
  return String(x.response.status)
}

function counted(outcomes: ReadonlyMap<string, number>, key: string): Map<string, number> {
  return new Map(outcomes).set(key, (outcomes.get(key) ?? 0) + 1)
}

/** sleep waits, or less where signal says so. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted || ms <= 0) return done()
    const timer = setTimeout(end, ms)
    function end() {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      done()
    }
    signal.addEventListener('abort', end)
  })
}

/** Watch tells when exchanges have ended: one question at a time for all that are waited for. */
export class Watch {
  private readonly waiting = new Map<number, { resolve: (x: Summary) => void; reject: (e: unknown) => void }>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private asking = false
  private failures = 0

  /** ended lists those of the given exchanges that have ended. */
  constructor(private readonly ended: (ids: number[]) => Promise<Summary[]>, private readonly every = 120) {}

  wait(id: number, signal: AbortSignal): Promise<Summary> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.waiting.delete(id)
        reject(new DOMException('not waited for any more', 'AbortError'))
      }
      if (signal.aborted) return stop()
      signal.addEventListener('abort', stop, { once: true })
      const free = <T>(f: (v: T) => void) => (v: T) => { signal.removeEventListener('abort', stop); f(v) }
      this.waiting.set(id, { resolve: free(resolve), reject: free(reject) })
      this.schedule()
    })
  }

  private schedule(): void {
    if (this.asking || this.timer !== undefined || this.waiting.size === 0) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      void this.ask()
    }, this.every)
  }

  private async ask(): Promise<void> {
    this.asking = true
    try {
      for (const x of await this.ended([...this.waiting.keys()].slice(0, 200))) {
        this.waiting.get(x.id)?.resolve(x)
        this.waiting.delete(x.id)
      }
      this.failures = 0
    } catch (e) {
      // A console that is restarted is back soon; one that stays away is not waited for.
      if (++this.failures > 25) {
        for (const w of this.waiting.values()) w.reject(e)
        this.waiting.clear()
      }
    } finally {
      this.asking = false
      this.schedule()
    }
  }
}
