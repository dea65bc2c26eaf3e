// What the settings pages ask: certificates, trust, TLS policies, routes, and trying an address out.

import { body, json, Problem, search, send } from './client.ts'
import type { Certificate, Route } from './types.ts'

export interface Warning {
  code: 'expired' | 'expires-soon' | 'not-yet-valid' | 'usage' | 'chain' | 'rotated-badly' | string
  message: string
}

/** One use of a certificate that a server accepted or rejected. */
export interface Use {
  exchange: number
  time: string
  host: string
  alert?: string
}

export interface ClientCertificateEntry {
  id: number
  enabled: boolean
  host: string
  for: 'origin' | 'proxy' | string
  name: string
  certificateFile?: string
  keyFile?: string
  pfxFile?: string
  token?: string
  uploaded: boolean
  /** Where the passphrase comes from; never the passphrase. */
  passphrase?: string
  certificate?: Certificate | null
  chain?: Certificate[] | null
  key?: string
  warnings?: Warning[] | null
  /** Why it cannot be used at all now. */
  problem?: string
  hint?: string
  expiresInDays?: number
  lastAccepted?: Use | null
  lastRejected?: Use | null
}

/** What is added, or changed: fields left out keep their value. */
export interface ClientCertificateInput {
  host?: string
  for?: string
  name?: string
  enabled?: boolean
  certificateFile?: string
  keyFile?: string
  pfxFile?: string
  token?: string
  passphrase?: string
  /** A passphrase as it is: sealed by eaves, and never seen again. */
  secret?: string
  certificateData?: string
  keyData?: string
  pfxData?: string
}

export interface TrustEntry {
  id: number
  enabled: boolean
  /** Empty: every host. */
  host: string
  file: string
  uploaded: boolean
  certificates: Certificate[] | null
  warnings?: Warning[] | null
  problem?: string
}

export interface TrustInput {
  host?: string
  file?: string
  data?: string
  enabled?: boolean
}

export interface Policy {
  id: number
  enabled: boolean
  host: string
  min?: string
  max?: string
  ciphers?: string[] | null
  alpn?: string[] | null
  verify?: boolean | null
  serverName?: string
  renegotiation?: string
}

export type PolicyInput = Omit<Policy, 'id'>

export interface RouteRule {
  id: number
  enabled: boolean
  host: string
  via: string[] | null
  user?: string
  password?: string
  schemes?: string[] | null
  passwordSet?: boolean
  /** What may not work about it. */
  warnings?: Warning[] | null
}

export interface RouteInput {
  enabled?: boolean
  host?: string
  via?: string[]
  user?: string
  /** A reference: env:NAME, file:PATH, cmd:COMMAND, vault:NAME. */
  password?: string
  /** A password as it is. */
  secret?: string
  schemes?: string[]
  /** Where it stands among the others, from 0. */
  position?: number
}

export interface DefaultRoute {
  upstreamProxy: string[] | null
  bypass: string
  source: 'flag' | 'environment' | 'file' | 'default' | 'settings' | string
  locked: boolean
}

export interface Routes {
  routes: RouteRule[] | null
  default?: DefaultRoute
}

export interface InventoryEntry {
  kind: 'client' | 'server' | 'ca' | 'eaves' | string
  subject: string
  issuer: string
  serial: string
  notBefore: string
  notAfter: string
  sha256: string
  dnsNames: string[] | null
  expiresInDays: number
  usedBy: string[] | null
  seen?: { host: string; exchange?: number; time?: string } | null
  lastAccepted?: Use | null
  lastRejected?: Use | null
  warnings?: Warning[] | null
}

/** What would be done for an address, and why: nobody is connected to. */
export interface Explanation {
  url: string
  route?: Route
  why: string[] | null
  clientCertificate: { rule: string; id: number; candidates: { id: number; rule: string; subject?: string; matches?: boolean; reason: string }[] | null; explanation: string }
  trust: { roots: string; added: { id: number; subject: string; host: string }[] | null; verify: boolean; explanation: string }
  tls: { rule: string; min: string; max: string; ciphers: string[] | null; alpn: string[] | null; serverName: string; explanation: string }
}

/** One stage of a connection that was tried. */
export interface Stage {
  stage: string
  title: string
  status: 'ok' | 'failed' | 'warning' | 'skipped' | 'info' | string
  time: number
  facts?: { name: string; value: string }[] | null
  message?: string
  hint?: string
}

export interface Trial {
  url: string
  certificate?: string
  /** As for a replay: direct, system, pac+URL, or proxies with commas between them. */
  via?: string
  verify?: boolean | null
}

/** A way that is tried before it is kept. */
export interface WayTrial {
  url: string
  /** In order; each may name a user and password. */
  via: string[]
  /** Hosts that it is not for. */
  bypass?: string
}

type Path = '/client-certificates' | '/trust' | '/tls-policies' | '/routes'

export async function clientCertificates(signal?: AbortSignal): Promise<ClientCertificateEntry[]> {
  return (await json<{ clientCertificates: ClientCertificateEntry[] | null }>('/client-certificates', { signal: signal ?? null })).clientCertificates ?? []
}

export async function trust(signal?: AbortSignal): Promise<TrustEntry[]> {
  return (await json<{ trust: TrustEntry[] | null }>('/trust', { signal: signal ?? null })).trust ?? []
}

export async function policies(signal?: AbortSignal): Promise<Policy[]> {
  return (await json<{ tlsPolicies: Policy[] | null }>('/tls-policies', { signal: signal ?? null })).tlsPolicies ?? []
}

export function routes(signal?: AbortSignal): Promise<Routes> {
  return json<Routes>('/routes', { signal: signal ?? null })
}

export async function inventory(signal?: AbortSignal): Promise<InventoryEntry[]> {
  return (await json<{ certificates: InventoryEntry[] | null }>('/certificates', { signal: signal ?? null })).certificates ?? []
}

export function addClientCertificate(input: ClientCertificateInput): Promise<ClientCertificateEntry> {
  return json('/client-certificates', body('POST', input))
}

export async function addTrust(input: TrustInput): Promise<void> {
  await send('/trust', body('POST', input))
}

export async function addPolicy(input: PolicyInput): Promise<void> {
  await send('/tls-policies', body('POST', input))
}

export async function addRoute(input: RouteInput): Promise<void> {
  await send('/routes', body('POST', input))
}

export async function setDefaultRoute(input: { upstreamProxy: string[]; bypass: string }): Promise<void> {
  await send('/routes/default', body('PUT', input))
}

export async function change(path: Path, id: number, input: ClientCertificateInput | TrustInput | PolicyInput | RouteInput): Promise<void> {
  await send(`${path}/${id}`, body('PUT', input))
}

export async function drop(path: Path, id: number): Promise<void> {
  await send(`${path}/${id}`, { method: 'DELETE' })
}

/** explain tells what would be done for an address. */
export function explain(trial: Trial, signal: AbortSignal): Promise<Explanation> {
  const { url, certificate, via, verify } = trial
  return json(`/explain${search({ url, certificate, via, verify: verify ?? undefined })}`, { signal })
}

/** test tries an address out and tells each stage as it ends. */
export function test(trial: Trial, told: (s: Stage) => void, signal: AbortSignal): Promise<void> {
  return examine('/doctor', trial, told, signal)
}

/** testWay does so by a way that is not kept. */
export function testWay(trial: WayTrial, told: (s: Stage) => void, signal: AbortSignal): Promise<void> {
  return examine('/routes/test', trial, told, signal)
}

async function examine(path: string, trial: Trial | WayTrial, told: (s: Stage) => void, signal: AbortSignal): Promise<void> {
  const answer = await send(path, { ...body('POST', trial), signal })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      rest += value ?? ''
      const lines = rest.split('\n')
      rest = done ? '' : lines.pop()!
      for (const line of lines) if (line.trim() !== '') told(JSON.parse(line) as Stage)
      if (done) return
    }
  } catch (e) {
    if (signal.aborted) return
    throw e instanceof SyntaxError ? new Problem(0, 'the answer broke off in the middle of a stage') : new Problem(0, 'eaves stopped answering before the last stage')
  }
}
