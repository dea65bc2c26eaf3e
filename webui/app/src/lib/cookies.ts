// Cookies and credentials in header fields, read as browsers read them (RFC 6265, RFC 7617).

import type { Field } from '../api/types.ts'
import { unbase64 } from './curl.ts'

interface Pair { name: string; value: string }

const named = (fields: Field[], name: string) => fields.filter((f) => f.name.toLowerCase() === name).map((f) => f.value)

/** decoded undoes percent-encoding where a value is encoded as a whole, which many frameworks do. */
function decoded(value: string): string {
  if (!/%[0-9a-f]{2}/i.test(value)) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function pair(text: string): Pair {
  const eq = text.indexOf('=')
  return eq < 0 ? { name: '', value: decoded(text.trim()) } : { name: text.slice(0, eq).trim(), value: decoded(text.slice(eq + 1).trim()) }
}

/** cookies are those that a request carries, in order. HTTP/2 may spread them over several fields (RFC 9113, 8.2.3). */
export function cookies(fields: Field[]): Pair[] {
  return named(fields, 'cookie').flatMap((v) => v.split(';')).filter((c) => c.trim() !== '').map(pair)
}

/** setCookies are those that an answer sets, each with its attributes behind its value. */
export function setCookies(fields: Field[]): Pair[] {
  return named(fields, 'set-cookie').map((v) => {
    const [first = '', ...attributes] = v.split(';')
    const p = pair(first)
    const rest = attributes.map((a) => a.trim()).filter(Boolean).join('; ')
    return rest ? { name: p.name, value: `${p.value}\n${rest}` } : p
  })
}

/** basic is the user and password of Basic authentication. */
export function basic(fields: Field[]): Pair[] {
  for (const name of ['authorization', 'proxy-authorization']) {
    for (const v of named(fields, name)) {
      const m = /^basic\s+([\w+/=-]+)$/i.exec(v.trim())
      if (!m) continue
      try {
        const text = new TextDecoder().decode(unbase64(m[1]!))
        const colon = text.indexOf(':')
        if (colon >= 0) return [{ name: 'User', value: text.slice(0, colon) }, { name: 'Password', value: text.slice(colon + 1) }]
      } catch {
        // Not base64: the field says it all.
      }
    }
  }
  return []
}
