// Certificates in words: whose they are, how long they are good, what became of them in a handshake.

import type { ClientCertificate } from '../api/types.ts'
import { count } from './format.ts'

/** commonName is the CN of a distinguished name, the whole name where it has none. */
export function commonName(subject: string): string {
  const m = /(?:^|[,+/]\s*)CN\s*=\s*((?:\\.|[^,+\\/])*)/i.exec(subject)
  return m?.[1] ? m[1].replace(/\\(.)/g, '$1').trim() || subject : subject
}

export interface Expiry {
  level: 'good' | 'soon' | 'over' | 'early'
  text: string
}

const day = 86_400_000

/** expiry says how long a certificate is good, in words that need no colour. */
export function expiry(notBefore: string, notAfter: string, now: number): Expiry {
  const from = Date.parse(notBefore)
  const until = Date.parse(notAfter)
  if (Number.isNaN(until)) return { level: 'over', text: 'no date' }
  if (until <= now) {
    const days = Math.floor((now - until) / day)
    return { level: 'over', text: days === 0 ? 'expired today' : `expired ${daysText(days)} ago` }
  }
  if (from > now) return { level: 'early', text: `not valid for another ${daysText(Math.ceil((from - now) / day))}` }
  const days = Math.floor((until - now) / day)
  if (days === 0) {
    const hours = Math.floor((until - now) / 3_600_000)
    return { level: 'soon', text: hours === 0 ? 'expires within the hour' : `expires in ${hours === 1 ? '1 hour' : `${hours} hours`}` }
  }
  return { level: days < 30 ? 'soon' : 'good', text: `${days < 30 ? 'expires in' : 'good for'} ${daysText(days)}` }
}

function daysText(n: number): string {
  return n === 1 ? '1 day' : n >= 730 ? `${Math.floor(n / 365)} years` : `${count(n)} days`
}

/** What became of a client certificate: the key in the list, the edge in the diagram, the head of the receipt. */
export type Shown = 'accepted' | 'sent' | 'rejected' | 'asked' | 'not-asked'

export const shownWords: Record<Shown, string> = {
  accepted: 'client certificate sent and accepted',
  sent: 'client certificate sent',
  rejected: 'client certificate rejected',
  asked: 'client certificate asked for, none sent',
  'not-asked': 'no client certificate asked for',
}

export function shown(c: ClientCertificate): Shown {
  if (!c.requested) return 'not-asked'
  if (c.verdict === 'rejected') return 'rejected'
  if (!c.sent) return 'asked'
  return c.verdict === 'accepted' ? 'accepted' : 'sent'
}

/** receiptLine is a receipt in a line, as it stands on an edge of the diagram. */
export function receiptLine(c: ClientCertificate): string {
  const who = c.sent ? commonName(c.sent.subject) || c.sent.serial : ''
  const alert = c.alert ? ` (${c.alert})` : ''
  switch (shown(c)) {
    case 'not-asked': return 'no certificate asked for'
    case 'asked': return 'certificate asked for, none sent'
    case 'sent': return `certificate ${who} sent`
    case 'accepted': return `certificate ${who} sent, accepted`
    case 'rejected': return who ? `certificate ${who} sent, rejected${alert}` : `certificate asked for, none sent, refused${alert}`
  }
}

/** verdictWords is what a verdict means, in a sentence; the receipt's own explanation goes further. */
export const verdictWords: Record<string, string> = {
  accepted: 'The server took the certificate.',
  rejected: 'The server refused.',
  'not-requested': 'The server did not ask for a certificate.',
  'no-rule': 'The server asked for a certificate, and no rule names one for it.',
  unknown: 'The certificate was sent; the server has not said what it makes of it.',
}
