// TLS policies as they are typed.

import type { PolicyInput } from '../api/settings.ts'

export const versions = ['1.0', '1.1', '1.2', '1.3'] as const

/** The cipher suites that can be chosen among, strongest first. Those of TLS 1.3 are always on: Go lets nobody choose. */
export const suites = [
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
  'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'TLS_RSA_WITH_AES_128_GCM_SHA256', 'TLS_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_RSA_WITH_AES_256_CBC_SHA', 'TLS_RSA_WITH_AES_128_CBC_SHA256', 'TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA',
  'TLS_RSA_WITH_3DES_EDE_CBC_SHA', 'TLS_ECDHE_ECDSA_WITH_RC4_128_SHA', 'TLS_ECDHE_RSA_WITH_RC4_128_SHA', 'TLS_RSA_WITH_RC4_128_SHA',
]

/** words splits a list that is typed with commas, spaces or line breaks. */
export function words(text: string): string[] {
  return text.split(/[\s,;]+/).filter((w) => w !== '')
}

export interface PolicyProblems {
  max?: string
  ciphers?: string
  alpn?: string
  serverName?: string
  /** What is nothing wrong with, but worth knowing. */
  note?: string
  /** Nothing at all is set. */
  empty?: string
}

export function policyProblems(p: PolicyInput): PolicyProblems {
  const found: PolicyProblems = {}
  if (p.min && p.max && p.min > p.max) found.max = `The newest version cannot be older than the oldest, ${p.min}.`
  const ciphers = p.ciphers ?? []
  const modern = ciphers.find((c) => /^TLS_(AES|CHACHA20)_/.test(c))
  const unknown = ciphers.find((c) => !suites.includes(c))
  if (modern) found.ciphers = `${modern} belongs to TLS 1.3, whose suites are always on.`
  else if (unknown) found.ciphers = `${unknown} is no suite that eaves can speak.`
  else if (ciphers.length > 0 && p.min === '1.3') found.ciphers = 'With TLS 1.3 only, no suite can be chosen.'
  if (p.alpn?.some((a) => a !== 'h2' && a !== 'http/1.1')) found.alpn = 'Origins are spoken to by h2 and http/1.1.'
  if (p.serverName && !/^[a-z0-9._-]+$/i.test(p.serverName)) found.serverName = 'A server name is a host name, without a port.'
  if (p.verify === false) found.note = 'Whoever is in between can read and change what goes to these hosts. What would have been wrong is still shown on each exchange.'
  else if (p.max && p.max < '1.2') found.note = 'TLS 1.0 and 1.1 are broken; use them for servers that speak nothing else.'
  if (!p.min && !p.max && ciphers.length === 0 && (p.alpn ?? []).length === 0 && (p.verify ?? null) === null && !p.serverName && (p.renegotiation ?? 'never') === 'never') {
    found.empty = 'Choose at least one thing that these hosts are to be treated differently in.'
  }
  return found
}

/** policyWords says what a policy changes. */
export function policyWords(p: PolicyInput): string[] {
  const said: string[] = []
  if (p.min && p.max) said.push(p.min === p.max ? `TLS ${p.min} only` : `TLS ${p.min} to ${p.max}`)
  else if (p.min) said.push(`TLS ${p.min} or newer`)
  else if (p.max) said.push(`TLS ${p.max} or older`)
  if (p.verify === false) said.push('certificates not verified')
  if (p.verify === true) said.push('certificates verified')
  if (p.alpn?.length) said.push(`ALPN ${p.alpn.join(', ')}`)
  if (p.serverName) said.push(`server name ${p.serverName}`)
  if (p.renegotiation && p.renegotiation !== 'never') said.push(`renegotiation ${p.renegotiation}`)
  if (p.ciphers?.length) said.push(p.ciphers.length === 1 ? p.ciphers[0]! : `${p.ciphers.length} cipher suites`)
  return said
}
