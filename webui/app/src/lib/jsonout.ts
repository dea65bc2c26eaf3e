// JSON text written piece by piece. It never grows beyond a bound and is never left open, so that whatever a decoder
// has understood before it stopped can be laid out as JSON is.

/** The most text that is written. */
const most = 32 << 20

/** Full is thrown when there is enough. */
export class Full extends Error {}

/** Flaw says where and why bytes stop being what they should be. */
export class Flaw extends Error {
  constructor(readonly at: number, message: string) { super(message) }
}

export interface Decoded {
  /** JSON text, for several values one after the other. */
  text: string
  broken?: { at: number; message: string }
  /** There is more than was written. */
  cut: boolean
  /** What else there is to say. */
  note?: string
}

export class JSONOut {
  private pieces: string[] = []
  private length = 0
  private closers: string[] = []
  /** Whether something stands in the innermost container already. */
  private filled: boolean[] = []
  private named = false

  get depth(): number { return this.closers.length }

  open(bracket: '{' | '['): void {
    this.before()
    this.write(bracket)
    this.closers.push(bracket === '{' ? '}' : ']')
    this.filled.push(false)
  }

  close(): void {
    this.filled.pop()
    this.write(this.closers.pop()!)
  }

  key(name: string): void {
    this.before()
    this.write(JSON.stringify(name) + ':')
    this.named = true
  }

  /** value writes a scalar that is JSON already. */
  value(json: string): void {
    this.before()
    this.write(json)
  }

  string(text: string): void { this.value(JSON.stringify(text)) }

  private before(): void {
    const n = this.filled.length
    if (this.named || n === 0) {
      if (!this.named && this.pieces.length > 0) this.write('\n')
      this.named = false
      return
    }
    if (this.filled[n - 1]) this.write(',')
    this.filled[n - 1] = true
  }

  private write(text: string): void {
    this.pieces.push(text)
    this.length += text.length
    if (this.length > most) throw new Full()
  }

  /** run writes with f and gives what came of it. */
  run(f: () => void): Decoded {
    let broken: Decoded['broken']
    let cut = false
    try {
      f()
    } catch (e) {
      if (e instanceof Flaw) broken = { at: e.at, message: e.message }
      else if (e instanceof Full) cut = true
      else throw e
      if (this.named) this.pieces.push('null')
    }
    while (this.closers.length > 0) this.pieces.push(this.closers.pop()!)
    const text = this.pieces.join('')
    return broken ? { text, cut, broken } : { text, cut }
  }
}

const shownBytes = 64

/** hex writes bytes out: all of a few, the beginning of many. */
export function hex(b: Uint8Array): string {
  let s = ''
  for (let i = 0; i < Math.min(b.length, shownBytes); i++) s += b[i]!.toString(16).padStart(2, '0')
  return b.length > shownBytes ? `${s} …` : s
}

/** float writes a number, also one that JSON has no word for. */
export function float(v: number): string {
  return Number.isFinite(v) ? Object.is(v, -0) ? '-0' : String(v) : JSON.stringify(String(v))
}

/** single writes a number of 32 bits with no more digits than it has. */
export function single(v: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(v.toPrecision(digits))
    if (Math.fround(short) === v) return float(short)
  }
  return float(v)
}
