// How far somebody has come who sends traffic through eaves: in steps, with what to do where one does not go on.

import type { ProxyClient } from '../api/onboarding.ts'

export interface Step {
  name: 'Connected' | 'Trusted' | 'First request'
  state: 'done' | 'waiting' | 'refused'
  /** What is known of it, or what is waited for. */
  says: string
}

/** device names a machine by its address. */
export function device(address: string): string {
  return /^127\.|^::1$|^::ffff:127\./.test(address) ? 'this machine' : address
}

/** steps are those of one machine; undefined where none has come. */
export function steps(c: ProxyClient | undefined): Step[] {
  const refused = c !== undefined && c.refused !== null && (c.trusted === null || c.refused > c.trusted)
  const who = c ? device(c.address) : ''
  const trusted: Step = refused
    ? { name: 'Trusted', state: 'refused', says: c.trusted === null ? `${who} does not trust the certificate` : `a program of ${who} does not trust the certificate` }
    : c?.trusted
      ? { name: 'Trusted', state: 'done', says: `by ${who}` }
      : { name: 'Trusted', state: 'waiting', says: 'waits for a page over https' }
  return [
    c?.connected ? { name: 'Connected', state: 'done', says: who } : { name: 'Connected', state: 'waiting', says: 'nobody uses the proxy yet' },
    trusted,
    c && c.requests > 0
      ? { name: 'First request', state: 'done', says: `${c.requests.toLocaleString('en-US')} recorded` }
      : { name: 'First request', state: 'waiting', says: 'waits for one to record' },
  ]
}

/** spoken says steps in a sentence. */
export function spoken(list: readonly Step[]): string {
  return list.map((s) => `${s.name}: ${s.state === 'done' ? 'yes' : s.state === 'refused' ? 'no' : 'not yet'}, ${s.says}`).join('; ')
}
