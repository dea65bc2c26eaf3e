// Finds text or bytes in a body of any size, piece by piece, so that the page keeps turning meanwhile.

/** What bytes come from: some that are here, or a body that is read as it is scrolled. */
export interface ByteSource {
  total: number
  now(offset: number, length: number): Uint8Array | undefined
  load(offset: number, length: number): Promise<void>
  /** read gives bytes for one pass over them, without keeping them. */
  read(offset: number, length: number): Promise<Uint8Array>
}

export function inMemory(bytes: Uint8Array): ByteSource {
  const part = (o: number, n: number) => bytes.subarray(o, o + n)
  return { total: bytes.length, now: part, load: () => Promise.resolve(), read: (o, n) => Promise.resolve(part(o, n)) }
}

export interface Needle {
  bytes: Uint8Array
  /** Letters of ASCII match in either case. */
  fold: boolean
}

/** needle is what a search looks for: text, or bytes in hexadecimal. undefined: these are no such bytes. */
export function needle(text: string, asHex: boolean): Needle | undefined {
  if (!asHex) return text === '' ? undefined : { bytes: new TextEncoder().encode(text.toLowerCase()), fold: true }
  const digits = text.replace(/0x|[\s:,]/gi, '')
  if (digits === '' || digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return undefined
  return { bytes: Uint8Array.from(digits.match(/../g)!, (h) => parseInt(h, 16)), fold: false }
}

const lower = (c: number) => (c >= 65 && c <= 90 ? c + 32 : c)

function matches(b: Uint8Array, at: number, n: Needle): boolean {
  for (let k = 0; k < n.bytes.length; k++) {
    const c = b[at + k]!
    if ((n.fold ? lower(c) : c) !== n.bytes[k]) return false
  }
  return true
}

/** indexOf is the first match in b at or after from, -1 for none. */
export function indexOf(b: Uint8Array, n: Needle, from: number): number {
  const first = n.bytes[0]!
  const upper = n.fold && first >= 97 && first <= 122 ? first - 32 : -1
  const last = b.length - n.bytes.length
  let a = b.indexOf(first, from)
  let u = upper < 0 ? -1 : b.indexOf(upper, from)
  for (;;) {
    const at = a < 0 ? u : u < 0 ? a : Math.min(a, u)
    if (at < 0 || at > last) return -1
    if (matches(b, at, n)) return at
    if (at === a) a = b.indexOf(first, at + 1)
    else u = b.indexOf(upper, at + 1)
  }
}

/** lastIndexOf is the last match in b, -1 for none. */
export function lastIndexOf(b: Uint8Array, n: Needle): number {
  for (let at = b.length - n.bytes.length; at >= 0; at--) if (matches(b, at, n)) return at
  return -1
}

const step = 2 << 20

/**
 * find is the next match that begins at or after from, else the first one from the beginning; backwards, the next one
 * before from, else the last. -1: there is none. seen is told how many bytes were looked at.
 */
export async function find(source: ByteSource, n: Needle, from: number, backwards: boolean, signal: AbortSignal, seen: (bytes: number) => void): Promise<number> {
  let looked = 0
  const extra = n.bytes.length - 1
  const within = async (start: number, end: number): Promise<number> => {
    for (let at = backwards ? end : start; backwards ? at > start : at < end;) {
      const a = backwards ? Math.max(start, at - step) : at
      const z = backwards ? at : Math.min(end, at + step)
      const b = await source.read(a, Math.min(z + extra, source.total) - a)
      signal.throwIfAborted()
      const hit = backwards ? lastIndexOf(b, n) : indexOf(b, n, 0)
      if (hit >= 0) return a + hit
      looked += z - a
      seen(looked)
      at = backwards ? a : z
      // Reading what is here already takes no turn of the event loop.
      await new Promise((done) => setTimeout(done))
      signal.throwIfAborted()
    }
    return -1
  }
  const middle = Math.min(Math.max(from, 0), source.total)
  const near = backwards ? await within(0, middle) : await within(middle, source.total)
  if (near >= 0) return near
  return backwards ? within(middle, source.total) : within(0, middle)
}
