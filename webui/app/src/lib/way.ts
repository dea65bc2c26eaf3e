// The way an exchange took, as stations and the legs between them: client ⇄ eaves ⇄ hops ⇄ origin.

import type { ClientCertificate, Exchange, Hop, TLSReceipt } from '../api/types.ts'
import { receiptLine, shown, type Shown } from './certificate.ts'
import { duration } from './format.ts'
import { madeHere } from './story.ts'
import { parts } from './url.ts'

export interface Station {
  role: 'client' | 'eaves' | 'proxy' | 'origin'
  title: string
  address: string
  facts: string[]
  /** answered: it gave the answer; failed: here it ended; unreached: nothing came this far. */
  state: 'passed' | 'answered' | 'failed' | 'unreached'
}

export interface Leg {
  facts: string[]
  certificate?: { state: Shown; text: string }
  /** bad: nothing went over it; unsure: TLS that was not verified; idle: nothing was tried. */
  state: 'good' | 'unsure' | 'bad' | 'idle'
}

export interface Drawn {
  stations: Station[]
  /** legs[i] joins stations[i] and stations[i+1]. */
  legs: Leg[]
}

const proxyNames: Record<string, string> = { http: 'HTTP proxy', https: 'HTTPS proxy', socks4: 'SOCKS4 proxy', socks4a: 'SOCKS4a proxy', socks5: 'SOCKS5 proxy', socks5h: 'SOCKS5 proxy' }

/** draw lays the way out; undefined where none was taken (an import, a failure before it). */
export function draw(x: Exchange): Drawn | undefined {
  const hops = x.route?.hops ?? []
  if (hops.length === 0 && !x.tls) return undefined
  const stations: Station[] = []
  const legs: Leg[] = []
  const imported = x.source === 'import'
  // What was imported had a client, too, though not one of this eaves; what is known of its leg may be nothing.
  const live = x.source === 'proxy' || imported
  if (live) {
    stations.push({ role: 'client', title: 'client', address: x.client.address ?? '', facts: x.client.run ? [`run ${x.client.run}`] : [], state: 'passed' })
    const unknown = imported && !x.clientTLS
    legs.push({
      facts: [...(unknown ? [] : [x.clientTLS ? tlsWords(x.clientTLS.version, x.clientTLS.alpn) : 'no TLS']), ...(x.client.httpVersion ? [x.client.httpVersion] : [])],
      state: 'good',
    })
  }
  stations.push({
    role: 'eaves', title: 'eaves', address: '', facts: imported ? ['imported'] : live ? (x.error && x.response && madeHere(x) ? [`answered ${x.response.status}`] : []) : [x.source === 'compose' ? 'composed here' : 'sent again'],
    state: x.answeredBy === 'eaves' && x.response && !x.error ? 'answered' : 'passed',
  })
  const proxies = hops.filter((h) => h.kind !== 'origin')
  const last = hops[hops.length - 1]
  const origin = last?.kind === 'origin' ? last : undefined
  const refused = x.answeredBy === 'proxy' ? answering(proxies) : -1
  const failed = failing(x, hops)
  let dead = false
  const go = (h: Hop | undefined, role: 'proxy' | 'origin', at: number, t: TLSReceipt | undefined, ssl: number) => {
    const here = at === failed
    // A hop that answered CONNECT with a refusal lets nothing further.
    const state: Station['state'] = dead ? 'unreached' : here ? 'failed' : at === refused || (role === 'origin' && x.answeredBy === 'origin' && x.response) ? 'answered' : 'passed'
    legs.push(leg(h, t, ssl, dead, here && !t && !(((h?.connect ?? -1) >= 0 || h?.reused) && (h?.status ?? 0) > 0)))
    const facts: string[] = []
    if (role === 'proxy' && h?.status && asksConnect(x, h)) facts.push(`CONNECT ${h.status}`)
    else if (role === 'proxy' && here && h?.status) facts.push(`answered ${h.status}`)
    if (role === 'proxy' && h?.authentication && h.authentication !== 'none') facts.push(`${h.authentication} authentication`)
    if (here) facts.push('here it ended')
    if (state === 'answered') facts.push(x.response ? `answered ${x.response.status}` : 'answered')
    if (state === 'unreached') facts.push('not reached')
    stations.push({ role, title: role === 'origin' ? 'origin' : (proxyNames[h?.kind ?? ''] ?? `${h?.kind ?? ''} proxy`), address: h?.address ?? originOf(x), facts, state })
    if (here || (at === refused && (h?.status ?? 0) >= 300)) dead = true
  }
  proxies.forEach((h, i) => go(h, 'proxy', i, h.tls, -1))
  go(origin, 'origin', proxies.length, x.tls ?? origin?.tls, x.timings.ssl)
  return { stations, legs }
}

/** asksConnect says whether a hop was asked for a tunnel: the last proxy is asked for an http URL itself. */
export function asksConnect(x: Exchange, h: Hop): boolean {
  if (!/^https?$/.test(h.kind)) return false
  const proxies = (x.route?.hops ?? []).filter((o) => o.kind !== 'origin')
  return !/^http:/.test(x.request.url) || h !== proxies[proxies.length - 1]
}

/** answering is the proxy that gave the answer: the one that refused, else the last. */
function answering(proxies: Hop[]): number {
  const refusing = proxies.findIndex((h) => (h.status ?? 0) >= 300)
  return refusing >= 0 ? refusing : proxies.length - 1
}

/** failing is the hop at which it ended, -1 if it did not end on the way. */
function failing(x: Exchange, hops: Hop[]): number {
  const own = hops.findIndex((h) => (h.error ?? '') !== '')
  if (own >= 0) return own
  if (!x.error || x.state !== 'failed' || !['dns', 'connect', 'proxy', 'tls', 'timeout', 'http'].includes(x.error.stage)) return -1
  if (x.error.stage === 'proxy') {
    const refusing = hops.findIndex((h) => h.kind !== 'origin' && (h.status ?? 0) >= 300)
    if (refusing >= 0) return refusing
    const named = hops.findIndex((h) => h.kind !== 'origin' && x.error!.message.includes(h.address))
    if (named >= 0) return named
    return Math.max(0, hops.filter((h) => h.kind !== 'origin').length - 1)
  }
  return Math.max(0, hops.length - 1)
}

function leg(h: Hop | undefined, t: TLSReceipt | undefined, ssl: number, idle: boolean, bad: boolean): Leg {
  if (idle) return { facts: [], state: 'idle' }
  const facts: string[] = []
  if (t && t.version) facts.push(tlsWords(t.version, t.alpn))
  else if (t) facts.push('TLS not agreed')
  if (h?.reused) facts.push('kept connection')
  else if (h) {
    if (h.dns > 0) facts.push(`lookup ${duration(h.dns)}`)
    if (h.connect >= 0) facts.push(`connect ${duration(h.connect)}`)
  }
  if (t && ssl > 0) facts.push(`handshake ${duration(ssl)}`)
  if (t?.resumed) facts.push('session resumed')
  if (t && !t.verified) facts.push('not verified')
  const c = t?.clientCertificate
  return { facts, state: bad ? 'bad' : t && !t.verified ? 'unsure' : 'good', ...(c ? { certificate: { state: shown(c), text: receiptLine(c) } } : {}) }
}

function tlsWords(version: string, alpn: string): string {
  return alpn ? `${version || 'TLS'}, ${alpn}` : version || 'TLS'
}

function originOf(x: Exchange): string {
  return parts(x.request.url).host
}

/** asked is the receipt to speak of: the origin's, else that of the first hop that asked. */
export function asked(x: Exchange): ClientCertificate | undefined {
  return x.tls?.clientCertificate ?? (x.route?.hops ?? []).map((h) => h.tls?.clientCertificate).find((c) => c?.requested)
}

const sources: Record<string, string> = {
  direct: 'no proxy is set', custom: 'the proxy that is set', system: 'the system’s proxy settings', pac: 'the PAC file', rule: 'a route of yours',
}

/** sourceWords says what decided the route. */
export function sourceWords(source: string): string {
  return sources[source] ?? source
}
