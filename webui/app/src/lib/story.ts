// What happened, in words.

import type { Exchange, Summary } from '../api/types.ts'
import { brief } from './cause.ts'
import { duration, size, typeName } from './format.ts'
import { parts } from './url.ts'
import { visible } from './visible.ts'

/** The classes of outcome a row can have; each has a sign of its own beside its colour. */
export type Outcome = 'open' | 'failed' | 'tunnel' | 'switched' | 'info' | 'ok' | 'redirect' | 'client' | 'server'

export function outcome(x: Summary): Outcome {
  if (x.state === 'failed') return 'failed'
  const status = x.response?.status ?? 0
  if (status === 101 || (x.kind === 'websocket' && status >= 200 && status < 300)) return 'switched'
  if (status >= 500) return 'server'
  if (status >= 400) return 'client'
  if (status >= 300) return 'redirect'
  if (status >= 200) return 'ok'
  if (x.kind === 'tunnel') return x.state === 'open' ? 'open' : 'tunnel'
  if (x.state === 'open') return 'open'
  return status > 0 ? 'info' : 'failed'
}

const stages: Record<string, string> = {
  client: 'on the client’s side', route: 'while choosing a route', dns: 'while looking up the name', connect: 'while connecting', proxy: 'at the parent proxy',
  tls: 'in the TLS handshake', http: 'while speaking HTTP', timeout: 'by time-out',
}

/** cause is a failure in a few words, for a row. */
export function cause(x: Summary): string {
  if (!x.error) return x.state === 'failed' ? 'failed' : ''
  return x.error.message ? brief(x) : (stages[x.error.stage] ?? x.error.stage)
}

/** madeHere says whether the answer is eaves' own, also where it passes on what a proxy said. */
export function madeHere(x: Exchange): boolean {
  return x.answeredBy === 'eaves' || (x.response?.headers ?? []).some((f) => /^proxy-status$/i.test(f.name) && f.value.startsWith('eaves;'))
}

/** status is what stands in the status column. */
export function statusText(x: Summary): string {
  const status = x.response?.status
  if (x.state === 'failed') return status ? String(status) : 'failed'
  if (status) return String(status)
  if (x.kind === 'tunnel') return 'tunnel'
  return x.state === 'open' ? 'open' : '–'
}

/** refusal is why eaves answered itself, as its Proxy-Status says (RFC 9209, 2.1.4); '' where another answered. */
export function refusal(x: Exchange): string {
  if (x.answeredBy !== 'eaves') return ''
  const value = x.response?.headers?.find((f) => /^proxy-status$/i.test(f.name))?.value ?? ''
  const details = /^eaves;.*\bdetails="((?:[^"\\]|\\.)*)"/.exec(value)?.[1] ?? ''
  return details.replace(/\\(.)/g, '$1')
}

function article(type: string): string {
  return type ? ` of ${type}` : ''
}

function answerer(x: Summary): string {
  switch (x.answeredBy) {
    case 'eaves': return 'eaves itself'
    case 'proxy': return 'a proxy on the way'
    default: return ''
  }
}

/** elapsed is how long an exchange took, or has taken so far. */
export function elapsed(x: Summary, now: number): number {
  if (x.state !== 'open' && x.time >= 0) return x.time
  return Math.max(0, now - Date.parse(x.startedDateTime))
}

/** story tells an exchange in one or two sentences. */
export function story(x: Exchange, now: number): string {
  const { host, scheme } = parts(x.request.url)
  const where = visible(host || x.request.url)
  const took = duration(elapsed(x, now))
  const r = x.response
  if (x.kind === 'tunnel') return tunnel(x, where, took)
  if (x.state === 'failed') {
    const own = r && madeHere(x)
    const got = r && !own && r.status > 0 ? `, after ${r.status} had been answered` : ''
    const told = own ? ` The client was told ${r.status} by eaves.` : ''
    return `${x.request.method} to ${where} failed ${x.error ? `${stages[x.error.stage] ?? x.error.stage} ` : ''}after ${took}${got}.${told}`
  }
  if (!r || r.status === 0) return `${x.request.method} was sent to ${where}; no answer yet, for ${took}.`
  if (x.kind === 'websocket' && r.status < 400) {
    return x.state === 'open'
      ? `A WebSocket with ${where}, open for ${took}: ${plain(x.messages, 'message')} so far.`
      : `A WebSocket with ${where} that lasted ${took}: ${plain(x.messages, 'message')}.`
  }
  const by = answerer(x)
  const who = by ? `${by} (not ${where}) answered` : `${where} answered`
  const text = r.statusText ? `${r.status} ${visible(r.statusText)}` : String(r.status)
  const body = r.bodySize > 0 ? `, ${size(r.bodySize)}${article(typeName(r.content.mimeType))}` : ', without a body'
  if (x.state === 'open') return `${by ? capital(who) : who} ${text} and is still sending: ${size(Math.max(r.bodySize, 0))} in ${took}.`
  const events = x.messages > 0 ? ` and ${plain(x.messages, 'event')}` : ''
  const why = refusal(x)
  if (why) return `Eaves itself (not ${where}) answered ${text} in ${took}: ${visible(why)}.`
  return `${by ? capital(who) : who} ${text} in ${took}${body}${events}${r.httpVersion ? `, over ${version(r.httpVersion)}${scheme === 'https' ? ' and TLS' : ''}` : ''}.`
}

function tunnel(x: Exchange, where: string, took: string): string {
  if (x.state === 'failed') return `The tunnel to ${where} failed ${x.error ? `${stages[x.error.stage] ?? x.error.stage} ` : ''}after ${took}.`
  const sent = size(Math.max(x.request.bodySize, 0))
  const received = size(Math.max(x.response?.bodySize ?? 0, 0))
  const what = `bytes passed through undecoded, ${sent} to it and ${received} from it`
  return x.state === 'open' ? `A tunnel to ${where}, open for ${took}: ${what}.` : `A tunnel to ${where} that lasted ${took}: ${what}.`
}

function version(v: string): string {
  return v.replace(/^HTTP\/2(\.0)?$/, 'HTTP/2')
}

function plain(n: number, one: string): string {
  return n === 1 ? `1 ${one}` : `${n.toLocaleString('en-US')} ${one}s`
}

function capital(s: string): string {
  return s.slice(0, 1).toUpperCase() + s.slice(1)
}

export interface Phase {
  name: string
  key: keyof Exchange['timings']
  ms: number
}

/** phases are the stages of an exchange that happened, in order. */
export function phases(x: Summary): Phase[] {
  const t = x.timings
  // HAR counts the TLS handshake into connect as well.
  const connect = t.connect >= 0 && t.ssl > 0 ? Math.max(t.connect - t.ssl, 0) : t.connect
  const all: Phase[] = [
    { name: 'Waiting in eaves', key: 'blocked', ms: t.blocked },
    { name: 'Name lookup', key: 'dns', ms: t.dns },
    { name: 'Connecting', key: 'connect', ms: connect },
    { name: 'TLS handshake', key: 'ssl', ms: t.ssl },
    { name: 'Sending', key: 'send', ms: t.send },
    { name: 'Waiting for the answer', key: 'wait', ms: t.wait },
    { name: 'Receiving', key: 'receive', ms: t.receive },
  ]
  return all.filter((p) => p.ms >= 0)
}
