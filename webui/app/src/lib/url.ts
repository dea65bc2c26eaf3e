// URLs of captured exchanges are taken apart as text: what was captured need not be a URL that a browser accepts.

export interface Parts {
  scheme: string
  host: string
  /** path with query, as sent; "" for a tunnel. */
  path: string
}

export function parts(url: string): Parts {
  const m = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(url)
  if (!m) return { scheme: '', host: '', path: url }
  return { scheme: m[1]!.toLowerCase(), host: m[2]!, path: m[3]! }
}

/** hostname is the host without its port and without credentials: what a host pattern names. */
export function hostname(url: string): string {
  const host = parts(url).host.replace(/^.*@/, '')
  return host.startsWith('[') ? host.slice(0, host.indexOf(']') + 1) : host.replace(/:\d+$/, '')
}

export interface Parameter {
  name: string
  value: string
}

/** decoded is text percent-decoded as a form does it; what cannot be decoded stays as it is. */
function decoded(text: string): string {
  const spaced = text.replace(/\+/g, ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** form reads application/x-www-form-urlencoded text, also a URL's query. */
export function form(text: string): Parameter[] {
  return text.split('&').filter((p) => p !== '').map((pair) => {
    const eq = pair.indexOf('=')
    return eq < 0 ? { name: decoded(pair), value: '' } : { name: decoded(pair.slice(0, eq)), value: decoded(pair.slice(eq + 1)) }
  })
}

export function query(url: string): Parameter[] {
  const q = url.indexOf('?')
  if (q < 0) return []
  const hash = url.indexOf('#', q)
  return form(url.slice(q + 1, hash < 0 ? undefined : hash))
}

/** oneScheme is an address without the scheme that stood there before a whole address was put behind it. */
export function oneScheme(text: string): string {
  return text.replace(/^\s*https?:\/\/(?=https?:\/\/)/i, '')
}
