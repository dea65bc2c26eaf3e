// What went wrong, taken apart: an error's words say where, what, and what else is known of it.

import type { Summary } from '../api/types.ts'
import { hostname } from './url.ts'

/** An error in three parts that make up its words again: where it was ("TLS with a.test:443 (192.0.2.1): "), what it was, and the rest. */
export interface Told {
  where: string
  what: string
  rest: string
}

const withTLS = /^TLS with \S+?(?: \([^)]*\))?: (?=\S)/
const atProxy = /^(?:(proxy \d+ of \d+), )?(?:https?|socks\w+) proxy (\S+?)(: it |: | )(?=\S)/

export function told(message: string): Told {
  const where = (withTLS.exec(message) ?? atProxy.exec(message))?.[0].replace(/it $/, '') ?? ''
  const end = message.indexOf('; ', where.length)
  return end < 0 ? { where, what: message.slice(where.length), rest: '' } : { where, what: message.slice(where.length, end), rest: message.slice(end) }
}

/** brief is a failure in the few words that a row has room for, the cause first: what the row says already is left out. */
export function brief(x: Pick<Summary, 'error' | 'request' | 'answeredBy'>): string {
  const message = x.error!.message
  const proxy = atProxy.exec(message)
  if (proxy) {
    const [all, place = x.answeredBy === 'proxy' ? '' : 'proxy', address, link] = proxy
    const host = address!.replace(/:\d+$/, '')
    const said = message.slice(all.length).replace(/^refused a connection to \S+(?=: )/, 'refused').replace(`: ${host}: `, ': ')
    return place === '' ? said : `${place}${link === ': ' ? ': ' : ' '}${said}`
  }
  const tls = withTLS.exec(message)
  if (tls) {
    return message.slice(tls[0].length)
      .replace(/^the server asked for a client certificate and does not accept (?:"[^"]*"|\S+)(?: \(rule [^)]*\))?: /, 'certificate rejected: ')
      .replace(/^the server asked for a client certificate, and none is configured for \S+?(?=;|$)/, 'client certificate wanted, none configured')
      .replace(/^the server asked for a client certificate, (?:and|but) /, 'client certificate wanted, ')
  }
  const host = hostname(x.request.url)
  const at = host === '' ? -1 : message.indexOf(host)
  const named = at < 0 || message.slice(0, at).includes(':') ? null : /^(:\d+)?( \([^)]*\))?: (?=.)/.exec(message.slice(at + host.length))
  return named ? message.slice(at + host.length + named[0].length) : message
}
