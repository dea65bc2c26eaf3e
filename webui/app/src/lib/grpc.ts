// Messages as gRPC, gRPC-Web and Connect frame them: a byte of flags, four of length, then the message
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

import { Flaw, hex, JSONOut, type Decoded } from './jsonout.ts'
import { tiles } from './detect.ts'
import { writeMessage } from './protobuf.ts'
import type { Schema } from './proto.ts'

export interface Frame {
  flags: number
  start: number
  end: number
}

/** The most that a compressed message may grow to here, and the most messages that are shown. */
const most = 16 << 20
const mostFrames = 10_000

/** frames finds the frames; broken is where the bytes stop being frames. */
export function frames(b: Uint8Array): { frames: Frame[]; broken?: { at: number; message: string } } {
  const found: Frame[] = []
  let at = 0
  while (at < b.length) {
    if (at + 5 > b.length) return { frames: found, broken: { at, message: 'the bytes end inside the head of a message' } }
    const flags = b[at]!
    const length = ((b[at + 1]! << 24) | (b[at + 2]! << 16) | (b[at + 3]! << 8) | b[at + 4]!) >>> 0
    if (flags & ~0x83) return { frames: found, broken: { at, message: `no message has the flags ${flags.toString(16)}` } }
    const start = at + 5
    if (length > b.length - start) return { frames: found, broken: { at, message: `a message says that it is ${length} bytes long, and ${b.length - start} are left` } }
    found.push({ flags, start, end: start + length })
    at = start + length
  }
  return { frames: found }
}

export interface GRPCOptions {
  /** The content coding of compressed messages: grpc-encoding or connect-content-encoding. */
  coding: string
  /** The messages are JSON rather than Protocol Buffers. */
  json: boolean
  schema?: Schema | undefined
  type?: string | undefined
}

/** grpc decodes all messages of a body, each under its number and size. */
export async function grpc(b: Uint8Array<ArrayBuffer>, o: GRPCOptions): Promise<Decoded> {
  const split = frames(b)
  const list = split.frames.slice(0, mostFrames)
  const plain: (Uint8Array | string)[] = []
  for (const f of list) plain.push(f.flags & 1 ? await inflated(b.subarray(f.start, f.end), o.coding) : b.subarray(f.start, f.end))
  const out = new JSONOut()
  let flaw: { at: number; message: string } | undefined
  const done = out.run(() => {
    out.open('{')
    list.forEach((f, i) => {
      const p = plain[i]!
      const ends = (f.flags & 0x82) !== 0
      out.key(`${ends ? 'end' : `message ${i + 1}`}, ${f.end - f.start} bytes${f.flags & 1 ? `, ${o.coding || 'compressed'}` : ''}`)
      if (typeof p === 'string') return out.string(p)
      // Trailers of gRPC-Web are lines, the end of a Connect stream is JSON.
      if (ends || o.json) return out.string(new TextDecoder().decode(p))
      const whole = tiles(p, 0, p.length)
      if (whole) return writeMessage(out, p, o.schema, o.type)
      flaw ??= { at: f.start, message: `message ${i + 1} is no Protocol Buffers message` }
      out.string(`bytes ${p.length}: ${hex(p)}`)
    })
    if (split.broken) throw new Flaw(split.broken.at, split.broken.message)
  })
  const broken = done.broken ?? flaw
  const more = split.frames.length - list.length
  return { text: done.text, cut: done.cut || more > 0, ...(broken ? { broken } : {}) }
}

/** inflated undoes a message's coding, or says why not. */
async function inflated(b: Uint8Array<ArrayBuffer>, coding: string): Promise<Uint8Array | string> {
  const format = coding === 'gzip' ? 'gzip' : coding === 'deflate' ? 'deflate' : undefined
  if (!format) return `compressed as ${coding || 'nothing that the head names'}, which is not undone here`
  try {
    const reader = new Blob([b]).stream().pipeThrough(new DecompressionStream(format)).getReader()
    const chunks: Uint8Array[] = []
    let n = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      n += value.length
      if (n > most) {
        void reader.cancel().catch(() => {})
        return `grows to more than ${most >> 20} MB, and is not undone here`
      }
      chunks.push(value)
    }
    const out = new Uint8Array(n)
    let at = 0
    for (const c of chunks) {
      out.set(c, at)
      at += c.length
    }
    return out
  } catch {
    return `does not decode as ${format}: ${hex(b)}`
  }
}

/** webText undoes the base64 of application/grpc-web-text, whose pieces are padded each. */
export function webText(b: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder('latin1').decode(b).replace(/\s+/g, '')
  const out = new Uint8Array(Math.ceil(text.length * 3 / 4) + 3)
  let n = 0
  for (const piece of text.match(/[^=]+=*/g) ?? []) {
    let plain: string
    try {
      plain = atob(piece)
    } catch {
      break
    }
    for (let i = 0; i < plain.length; i++) out[n++] = plain.charCodeAt(i)
  }
  return out.subarray(0, n)
}
