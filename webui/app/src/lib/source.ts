// A body as something that can be read in pieces, of whatever size.

import * as api from '../api/client.ts'

/** What is loaded and laid out without being asked for. */
export const automatic = 8 << 20
/** What is loaded first of a larger body. */
export const piece = 1 << 20
/** The most that is loaded on request: a browser's tab is no place for more. */
export const most = 256 << 20

const chunk = 256 << 10
const kept = 64

/** Source reads a body by ranges and keeps the last few chunks, for views that jump about. */
export class Source {
  private readonly chunks = new Map<number, Promise<Uint8Array>>()
  private readonly ready = new Map<number, Uint8Array>()

  constructor(private readonly path: string, readonly total: number, private readonly signal: AbortSignal) {}

  /** now gives the bytes from offset that are here already, at most length; load fetches them. */
  now(offset: number, length: number): Uint8Array | undefined {
    const n = Math.floor(offset / chunk)
    const have = this.ready.get(n)
    if (!have) return undefined
    const at = offset - n * chunk
    const first = have.subarray(at, at + length)
    if (first.length === length || offset + first.length >= this.total) return first
    const next = this.ready.get(n + 1)
    if (!next) return undefined
    const joined = new Uint8Array(Math.min(length, first.length + next.length))
    joined.set(first)
    joined.set(next.subarray(0, joined.length - first.length), first.length)
    return joined
  }

  async load(offset: number, length: number): Promise<void> {
    const last = Math.floor(Math.max(offset, offset + length - 1) / chunk)
    for (let n = Math.floor(offset / chunk); n <= last; n++) await this.chunk(n)
  }

  /** read fetches bytes without keeping them. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return (await api.range(this.path, offset, length, this.signal)).bytes
  }

  private chunk(n: number): Promise<Uint8Array> {
    let p = this.chunks.get(n)
    if (!p) {
      p = api.range(this.path, n * chunk, chunk, this.signal).then((r) => {
        this.ready.set(n, r.bytes)
        return r.bytes
      })
      p.catch(() => this.chunks.delete(n))
      this.chunks.set(n, p)
      if (this.chunks.size > kept) {
        const oldest = this.chunks.keys().next().value!
        this.chunks.delete(oldest)
        this.ready.delete(oldest)
      }
    }
    return p
  }
}
