// The one thing to do about a failure. What the server hints at says it best: its hints end in the command that helps, and
// each of those commands has a form in the console.

import type { Exchange, Summary } from '../api/types.ts'
import { patternFor } from './pattern.ts'
import { hostname, parts } from './url.ts'
import { visible } from './visible.ts'
import { asked } from './way.ts'

export type FixKind = 'ca' | 'pass' | 'trust' | 'certificate' | 'credentials' | 'tls' | 'try'

export interface Fix {
  kind: FixKind
  /** On a button in a row, and at length. */
  short: string
  label: string
  /** The host pattern that it is for. */
  host: string
}

/** fix is what helps, undefined where nothing failed or nothing here helps. */
export function fix(x: Summary): Fix | undefined {
  const url = x.request.url.replace(/^tcp:/, 'https:').replace(/^ws/, 'http')
  const hint = x.error?.hint ?? ''
  const message = x.error?.message ?? ''
  const host = patternFor(url)
  const name = visible(host)
  const at = (kind: FixKind, short: string, label: string): Fix => ({ kind, short, label, host: kind === 'pass' ? hostname(url) : host })
  if (/eaves rule add passthrough/.test(hint)) return at('pass', 'Pass through', `Pass ${visible(hostname(url))} through`)
  if (/install the CA|eaves ca install/.test(hint)) return at('ca', 'Trust eaves’ CA', 'Set the client up to trust eaves’ CA')
  if (wantsCredentials(x, message, hint)) return at('credentials', 'Set credentials', 'Set the credentials for the proxy')
  if (/eaves cert add/.test(hint)) return at('certificate', 'Add certificate', `Add a client certificate for ${name}`)
  if (/eaves trust add/.test(hint)) return at('trust', 'Trust its CA', `Trust the CA of ${name}`)
  if (x.certificate === 'asked' && !noneMeant(x) && (x.error || (x.response?.status ?? 0) >= 400)) return at('certificate', 'Add certificate', `Add a client certificate for ${name}`)
  if (x.certificate === 'rejected') return at('certificate', 'Other certificate', `Add another client certificate for ${name}`)
  if (/eaves tls set/.test(hint)) return at('tls', 'TLS policy', `Set a TLS policy for ${name}`)
  if (x.error && ['route', 'dns', 'connect', 'proxy', 'tls', 'timeout'].includes(x.error.stage) && /^https?$/.test(parts(url).scheme)) return at('try', 'Test', `Test ${name}, hop by hop`)
  return undefined
}

/** Whether none was sent because the request was to send none. Where the receipt is not at hand, what eaves was told to send may have been. */
function noneMeant(x: Summary | Exchange): boolean {
  const receipt = 'tls' in x || 'route' in x ? asked(x) : undefined
  return receipt?.explanation ? /this request was to send none/.test(receipt.explanation) : x.source === 'replay' || x.source === 'compose'
}

/** Whether a proxy wants to know who asks (RFC 9110, 15.5.8). */
function wantsCredentials(x: Summary, message: string, hint: string): boolean {
  if (x.response?.status === 407 && x.answeredBy !== 'origin') return true
  return x.error?.stage === 'proxy' && /\b407\b|authenticat|credential|password/i.test(message + hint) && !/certificate/.test(message)
}
