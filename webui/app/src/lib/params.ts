// A URL's parameters as a table, kept in step with the URL: what is not touched stays byte for byte as it was written.

export interface Param {
  name: string
  value: string
  /** As it stands in the URL. */
  raw: string
}

interface Pieces {
  before: string
  query: string | undefined
  after: string
}

function pieces(url: string): Pieces {
  const hash = url.indexOf('#')
  const head = hash < 0 ? url : url.slice(0, hash)
  const after = hash < 0 ? '' : url.slice(hash)
  const q = head.indexOf('?')
  return q < 0 ? { before: head, query: undefined, after } : { before: head.slice(0, q), query: head.slice(q + 1), after }
}

function decode(text: string): string {
  const spaced = text.replace(/\+/g, ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** encode writes a name or value so that it is read back as it is, and otherwise as plainly as a query takes it. */
export function encode(text: string, name: boolean): string {
  const plain = encodeURIComponent(text).replace(/%20/g, '+').replace(/%(?:2F|3A|40|2C|3F|5B|5D|7B|7D|21|27|28|29|2A|24|3B)/g, (c) => decodeURIComponent(c))
  return name ? plain : plain.replace(/%3D/g, '=')
}

/** params reads the parameters of a URL. */
export function params(url: string): Param[] {
  const { query } = pieces(url)
  if (!query) return []
  return query.split('&').map((raw) => {
    const eq = raw.indexOf('=')
    return eq < 0 ? { name: decode(raw), value: '', raw } : { name: decode(raw.slice(0, eq)), value: decode(raw.slice(eq + 1)), raw }
  })
}

function written(url: string, list: readonly string[]): string {
  const { before, after } = pieces(url)
  return before + (list.length > 0 ? '?' + list.join('&') : '') + after
}

/** setParam changes a parameter's name or value; one behind the last is added. */
export function setParam(url: string, at: number, name: string, value: string): string {
  const list = params(url).map((p) => p.raw)
  const had = list[at]
  // A name alone stays one until it has a value.
  list[at] = had !== undefined && !had.includes('=') && value === '' ? encode(name, true) : `${encode(name, true)}=${encode(value, false)}`
  return written(url, list)
}

export function removeParam(url: string, at: number): string {
  return written(url, params(url).map((p) => p.raw).filter((_, i) => i !== at))
}

/** moveParam moves a parameter by places. */
export function moveParam(url: string, at: number, by: number): string {
  return written(url, moved(params(url).map((p) => p.raw), at, by))
}

/** moved is a list with one element moved, as far as the list goes. */
export function moved<T>(list: readonly T[], at: number, by: number): T[] {
  const out = [...list]
  const [one] = out.splice(at, 1)
  if (one !== undefined) out.splice(Math.max(0, Math.min(out.length, at + by)), 0, one)
  return out
}
