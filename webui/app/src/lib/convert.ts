// Makes text of bodies that are none, and readable text of text that is not: in a worker, where it may take its time.

import type { Decoded } from './jsonout.ts'

export type Conversion =
  | { to: 'script' } | { to: 'style' } | { to: 'messagepack' }
  | { to: 'protobuf'; proto: string; type: string }
  | { to: 'grpc'; proto: string; type: string; coding: string; json: boolean; base64: boolean }

export type Converted = Decoded

/** More is not converted at once: what is laid out for reading is short. */
export const mostConverted = 16 << 20
/** Laying scripts out takes a second for each megabyte. */
export const mostScript = 3 << 20

/** convert makes text of a body. */
export async function convert(b: Uint8Array<ArrayBuffer>, c: Conversion): Promise<Converted> {
  switch (c.to) {
    case 'script': {
      const lib = (await import('js-beautify/js/lib/beautify.js')).default
      return { text: lib.js_beautify(new TextDecoder().decode(b), { indent_size: 2 }), cut: false }
    }
    case 'style': return (await import('./cssformat.ts')).formatStyle(new TextDecoder().decode(b))
    case 'messagepack': return (await import('./msgpack.ts')).messagePack(b)
    case 'protobuf': {
      const { protobuf } = await import('./protobuf.ts')
      return protobuf(b, await schemaOf(c.proto), c.type || undefined)
    }
    case 'grpc': {
      const { grpc, webText } = await import('./grpc.ts')
      return grpc(c.base64 ? webText(b) : b, { coding: c.coding, json: c.json, schema: await schemaOf(c.proto), type: c.type || undefined })
    }
  }
}

async function schemaOf(proto: string) {
  return proto.trim() === '' ? undefined : (await import('./proto.ts')).parseProto(proto)
}
