// Protocol Buffers on the wire (https://protobuf.dev/programming-guides/encoding/) as JSON text: with a schema under the
// names of its fields, without one under their numbers, each with what its bytes look like.

import { Flaw, float, hex, JSONOut, single, type Decoded } from './jsonout.ts'
import { tiles, varint } from './detect.ts'
import { instant } from './instant.ts'
import type { Field, Schema } from './proto.ts'

/** Deeper messages are shown as bytes. */
const deepest = 64
const strict = new TextDecoder('utf-8', { fatal: true })
const lenient = new TextDecoder()

/** protobuf decodes one message; type is the full name of its type in the schema. */
export function protobuf(b: Uint8Array, schema?: Schema, type?: string): Decoded {
  const out = new JSONOut()
  return out.run(() => writeMessage(out, b, schema, type))
}

export function writeMessage(out: JSONOut, b: Uint8Array, schema?: Schema, type?: string): void {
  new Message(out, b, schema).message(0, b.length, type, 0)
}

class Message {
  private readonly view: DataView

  constructor(private readonly out: JSONOut, private readonly b: Uint8Array, private readonly schema: Schema | undefined) {
    this.view = new DataView(b.buffer, b.byteOffset, b.byteLength)
  }

  message(from: number, to: number, type: string | undefined, depth: number): void {
    const special = type === 'google.protobuf.Timestamp' || type === 'google.protobuf.Duration' ? this.time(from, to, type) : undefined
    if (special !== undefined) return this.out.string(special)
    this.out.open('{')
    const end = this.fields(from, to, type === undefined ? undefined : this.schema?.messages.get(type), depth, 0)
    if (end < to) throw new Flaw(end, 'a group ends here that did not begin')
    this.out.close()
  }

  /** fields writes fields up to the end, or up to the end of the group with this number. */
  private fields(from: number, to: number, fields: Map<number, Field> | undefined, depth: number, group: number): number {
    let at = from
    while (at < to) {
      const start = at
      const tag = varint(this.b, at, to)
      if (!tag || tag.value > 0xffffffffn) throw new Flaw(start, 'a field’s number should stand here')
      const number = Number(tag.value >> 3n)
      const wire = Number(tag.value & 7n)
      at = tag.next
      if (wire === 4) {
        if (number !== group) throw new Flaw(start, 'a group ends here that did not begin')
        return at
      }
      if (number === 0) throw new Flaw(start, 'no field has the number 0')
      const field = fields?.get(number)
      if (wire === 3) {
        if (depth >= deepest) throw new Flaw(start, `groups are nested deeper than ${deepest} levels`)
        this.out.key(field?.name ?? `${number} group`)
        this.out.open('{')
        at = this.fields(at, to, field && this.schema?.messages.get(field.type), depth + 1, number)
        this.out.close()
        continue
      }
      at = this.field(field, number, wire, start, at, to, depth)
    }
    if (group !== 0) throw new Flaw(to, 'the bytes end inside a group')
    return at
  }

  private field(field: Field | undefined, number: number, wire: number, start: number, at: number, to: number, depth: number): number {
    if (wire === 0) {
      const v = varint(this.b, at, to)
      if (!v) throw new Flaw(at, 'an integer should end here')
      this.out.key(field?.name ?? `${number} varint`)
      this.out.value(this.integer(field, v.value))
      return v.next
    }
    if (wire === 1 || wire === 5) {
      const size = wire === 1 ? 8 : 4
      if (at + size > to) throw new Flaw(at, 'the bytes end inside a field')
      this.out.key(field?.name ?? `${number} fixed${size * 8}`)
      this.out.value(this.fixed(field?.type, at, size))
      return at + size
    }
    if (wire !== 2) throw new Flaw(start, `no field has the wire type ${wire}`)
    const n = varint(this.b, at, to)
    if (!n || n.value > BigInt(to - n.next)) throw new Flaw(at, n ? `a field says that it is ${n.value} bytes long, and ${to - n.next} are left` : 'a length should stand here')
    const end = n.next + Number(n.value)
    if (field) this.known(field, n.next, end, depth)
    else this.guess(number, n.next, end, depth)
    return end
  }

  /** known writes a field with a length whose type is known. */
  private known(f: Field, from: number, to: number, depth: number): void {
    this.out.key(f.name)
    if (f.kind === 'message') {
      if (depth >= deepest) return this.bytes(from, to)
      return this.message(from, to, f.type, depth + 1)
    }
    if (f.type === 'string') return this.out.string(lenient.decode(this.b.subarray(from, to)))
    if (f.type === 'bytes') return this.bytes(from, to)
    if (f.kind === 'unknown') return this.unnamed(from, to, depth)
    // A packed run of scalars.
    this.out.open('[')
    const size = /^s?fixed32$|^float$/.test(f.type) ? 4 : /^s?fixed64$|^double$/.test(f.type) ? 8 : 0
    for (let at = from; at < to;) {
      if (size > 0) {
        if (at + size > to) throw new Flaw(at, 'the bytes end inside a packed field')
        this.out.value(this.fixed(f.type, at, size))
        at += size
      } else {
        const v = varint(this.b, at, to)
        if (!v) throw new Flaw(at, 'an integer should end here')
        this.out.value(this.integer(f, v.value))
        at = v.next
      }
    }
    this.out.close()
  }

  /** guess writes a field with a length as what its bytes look like. */
  private guess(number: number, from: number, to: number, depth: number): void {
    const text = this.text(from, to)
    if (text !== undefined) {
      this.out.key(`${number} string`)
      return this.out.string(text)
    }
    if (depth < deepest && tiles(this.b, from, to)) {
      this.out.key(`${number} message`)
      return this.message(from, to, undefined, depth + 1)
    }
    this.out.key(`${number} bytes`)
    this.bytes(from, to)
  }

  private unnamed(from: number, to: number, depth: number): void {
    const text = this.text(from, to)
    if (text !== undefined) this.out.string(text)
    else if (depth < deepest && tiles(this.b, from, to)) this.message(from, to, undefined, depth + 1)
    else this.bytes(from, to)
  }

  private bytes(from: number, to: number): void {
    this.out.string(`bytes ${to - from}: ${hex(this.b.subarray(from, to))}`)
  }

  /** text is what bytes say, if they are text without control characters. */
  private text(from: number, to: number): string | undefined {
    for (let i = from; i < to; i++) {
      const c = this.b[i]!
      if (c < 32 && c !== 10 && c !== 13 && c !== 9 || c === 127) return undefined
    }
    try {
      return strict.decode(this.b.subarray(from, to))
    } catch {
      return undefined
    }
  }

  private integer(f: Field | undefined, v: bigint): string {
    if (!f) return String(v)
    if (f.kind === 'enum') {
      const n = Number(BigInt.asIntN(32, v))
      const name = this.schema?.enums.get(f.type)?.get(n)
      return name === undefined ? String(n) : JSON.stringify(name)
    }
    switch (f.type) {
      case 'bool': return v === 0n ? 'false' : 'true'
      case 'int32': return String(BigInt.asIntN(32, v))
      case 'int64': return String(BigInt.asIntN(64, v))
      case 'uint32': return String(BigInt.asUintN(32, v))
      case 'sint32': case 'sint64': return String((v >> 1n) ^ -(v & 1n))
    }
    return String(v)
  }

  private fixed(type: string | undefined, at: number, size: number): string {
    if (size === 4) {
      if (type === 'fixed32') return String(this.view.getUint32(at, true))
      if (type === 'sfixed32') return String(this.view.getInt32(at, true))
      const v = this.view.getFloat32(at, true)
      return type === 'float' || likely(v) ? single(v) : String(this.view.getUint32(at, true))
    }
    if (type === 'fixed64') return String(this.view.getBigUint64(at, true))
    if (type === 'sfixed64') return String(this.view.getBigInt64(at, true))
    const v = this.view.getFloat64(at, true)
    return type === 'double' || likely(v) ? float(v) : String(this.view.getBigUint64(at, true))
  }

  /** time is a Timestamp or Duration as it is written in JSON; undefined for one that has more in it than that. */
  private time(from: number, to: number, type: string): string | undefined {
    let seconds = 0n
    let nanos = 0n
    for (let at = from; at < to;) {
      const tag = varint(this.b, at, to)
      const v = tag && varint(this.b, tag.next, to)
      if (!tag || !v || tag.value !== 8n && tag.value !== 16n) return undefined
      if (tag.value === 8n) seconds = BigInt.asIntN(64, v.value)
      else nanos = BigInt.asIntN(32, v.value)
      at = v.next
    }
    if (type === 'google.protobuf.Timestamp') return instant(Number(seconds), Number(nanos))
    const sign = seconds < 0n || nanos < 0n ? '-' : ''
    const abs = (n: bigint) => (n < 0n ? -n : n)
    const fraction = nanos === 0n ? '' : '.' + String(abs(nanos)).padStart(9, '0').replace(/0+$/, '')
    return `${sign}${abs(seconds)}${fraction}s`
  }
}

/** likely says whether a number is one that somebody would write as a fraction. */
function likely(v: number): boolean {
  const size = Math.abs(v)
  return v === 0 || size > 1e-6 && size < 1e12
}
