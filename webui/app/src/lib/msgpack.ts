// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) as JSON text. Integers keep all their digits; what
// JSON has no word for (bytes, extensions, names that are no text) is written out.

import { instant } from './instant.ts'
import { Flaw, float, hex, JSONOut, single, type Decoded } from './jsonout.ts'

const deepest = 500
const utf8 = new TextDecoder()

export function messagePack(b: Uint8Array): Decoded {
  const out = new JSONOut()
  const reader = new Reader(b, out)
  return out.run(() => {
    if (b.length === 0) throw new Flaw(0, 'there is no value')
    while (reader.at < b.length) reader.value()
  })
}

class Reader {
  at = 0
  private readonly view: DataView

  constructor(private readonly b: Uint8Array, private readonly out: JSONOut) {
    this.view = new DataView(b.buffer, b.byteOffset, b.byteLength)
  }

  private take(n: number): number {
    const at = this.at
    if (at + n > this.b.length) throw new Flaw(at, 'the bytes end inside a value')
    this.at += n
    return at
  }

  private uint(size: 1 | 2 | 4): number {
    const at = this.take(size)
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at)
  }

  value(): void {
    const start = this.at
    const c = this.uint(1)
    const out = this.out
    if (c < 0x80) return out.value(String(c))
    if (c >= 0xe0) return out.value(String(c - 256))
    if (c < 0x90) return this.map(c & 15, start)
    if (c < 0xa0) return this.array(c & 15, start)
    if (c < 0xc0) return this.string(c & 31)
    switch (c) {
      case 0xc0: return out.value('null')
      case 0xc2: return out.value('false')
      case 0xc3: return out.value('true')
      case 0xc4: case 0xc5: case 0xc6: return this.bytes(this.uint([1, 2, 4][c - 0xc4] as 1))
      case 0xc7: case 0xc8: case 0xc9: return this.extension(this.uint([1, 2, 4][c - 0xc7] as 1))
      case 0xca: return out.value(single(this.view.getFloat32(this.take(4))))
      case 0xcb: return out.value(float(this.view.getFloat64(this.take(8))))
      case 0xcc: case 0xcd: case 0xce: return out.value(String(this.uint([1, 2, 4][c - 0xcc] as 1)))
      case 0xcf: return out.value(String(this.view.getBigUint64(this.take(8))))
      case 0xd0: return out.value(String(this.view.getInt8(this.take(1))))
      case 0xd1: return out.value(String(this.view.getInt16(this.take(2))))
      case 0xd2: return out.value(String(this.view.getInt32(this.take(4))))
      case 0xd3: return out.value(String(this.view.getBigInt64(this.take(8))))
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return this.extension(1 << (c - 0xd4))
      case 0xd9: case 0xda: case 0xdb: return this.string(this.uint([1, 2, 4][c - 0xd9] as 1))
      case 0xdc: case 0xdd: return this.array(this.uint(c === 0xdc ? 2 : 4), start)
      case 0xde: case 0xdf: return this.map(this.uint(c === 0xde ? 2 : 4), start)
    }
    throw new Flaw(start, 'the byte c1 begins no value')
  }

  private enter(start: number): void {
    if (this.out.depth >= deepest) throw new Flaw(start, `values are nested deeper than ${deepest} levels`)
  }

  private array(n: number, start: number): void {
    this.enter(start)
    this.out.open('[')
    for (let i = 0; i < n; i++) this.value()
    this.out.close()
  }

  private map(n: number, start: number): void {
    this.enter(start)
    this.out.open('{')
    for (let i = 0; i < n; i++) {
      this.out.key(this.name())
      this.value()
    }
    this.out.close()
  }

  /** name reads a key: text as it is, anything else as the JSON text of it. */
  private name(): string {
    const c = this.b[this.at]
    if (c !== undefined && (c >= 0xa0 && c < 0xc0 || c >= 0xd9 && c <= 0xdb)) {
      this.at++
      return this.text(c < 0xc0 ? c & 31 : this.uint([1, 2, 4][c - 0xd9] as 1))
    }
    const inner = new JSONOut()
    const reader = new Reader(this.b, inner)
    reader.at = this.at
    const start = this.at
    const key = inner.run(() => {
      if (c !== undefined && (c >= 0x80 && c < 0xa0 || c >= 0xdc && c <= 0xdf)) throw new Flaw(start, 'a container stands where a name should')
      reader.value()
    })
    if (key.broken) throw new Flaw(key.broken.at, key.broken.message)
    this.at = reader.at
    return key.text
  }

  private text(n: number): string {
    const at = this.take(n)
    return utf8.decode(this.b.subarray(at, at + n))
  }

  private string(n: number): void { this.out.string(this.text(n)) }

  private bytes(n: number): void {
    const at = this.take(n)
    this.out.string(`bytes ${n}: ${hex(this.b.subarray(at, at + n))}`)
  }

  private extension(n: number): void {
    const type = this.view.getInt8(this.take(1))
    const at = this.take(n)
    const time = type === -1 ? this.timestamp(at, n) : undefined
    this.out.string(time ?? `extension ${type}, bytes ${n}: ${hex(this.b.subarray(at, at + n))}`)
  }

  private timestamp(at: number, n: number): string | undefined {
    let seconds: number
    let nanos = 0
    if (n === 4) seconds = this.view.getUint32(at)
    else if (n === 8) {
      const v = this.view.getBigUint64(at)
      seconds = Number(v & 0x3ffffffffn)
      nanos = Number(v >> 34n)
    } else if (n === 12) {
      nanos = this.view.getUint32(at)
      seconds = Number(this.view.getBigInt64(at + 4))
    } else return undefined
    return instant(seconds, nanos)
  }
}
