// Tells formats by their bytes, for those whose decoders are loaded only when they are wanted.

/** tiles says whether bytes are fields of a message from first to last. Groups must close. */
export function tiles(b: Uint8Array, from: number, to: number): boolean {
  const groups: number[] = []
  let at = from
  while (at < to) {
    const tag = varint(b, at, to)
    if (!tag || tag.value > 0xffffffffn) return false
    const number = Number(tag.value >> 3n)
    at = tag.next
    if (number === 0) return false
    switch (Number(tag.value & 7n)) {
      case 0: {
        const v = varint(b, at, to)
        if (!v) return false
        at = v.next
        break
      }
      case 1: at += 8; break
      case 2: {
        const n = varint(b, at, to)
        if (!n || n.value > BigInt(to - n.next)) return false
        at = n.next + Number(n.value)
        break
      }
      case 3: groups.push(number); break
      case 4: if (groups.pop() !== number) return false; break
      case 5: at += 4; break
      default: return false
    }
  }
  return at === to && groups.length === 0
}

export interface Varint { value: bigint; next: number }

/** varint reads an integer of at most ten bytes. */
export function varint(b: Uint8Array, at: number, to: number): Varint | undefined {
  let low = 0
  let value = 0n
  for (let i = 0; i < 10 && at + i < to; i++) {
    const c = b[at + i]!
    // Up to 28 bits fit where arithmetic is fast.
    if (i < 4) low |= (c & 127) << (7 * i)
    else {
      if (i === 4) value = BigInt(low)
      value |= BigInt(c & 127) << BigInt(7 * i)
    }
    if (c < 128) return { value: i < 4 ? BigInt(low) : BigInt.asUintN(64, value), next: at + i + 1 }
  }
  return undefined
}

/** likelyGraphQL says whether text begins as JSON of a GraphQL request does. */
export function likelyGraphQL(text: string): boolean {
  return /"query"\s*:\s*"(?:\s|\\[nrt]|#)*(?:\{|(?:query|mutation|subscription|fragment)\b)/.test(text)
}

/** isGraphQL says whether text, such as a parameter's value, is a query. */
export function isGraphQL(text: string): boolean {
  return /^\s*(?:\{\s*[\w.]|(?:query|mutation|subscription)\b[^{]*\{)/.test(text)
}
