// How devices reach the proxy, and which have.

import { json } from './client.ts'

export interface DeviceAddress {
  interface: string
  address: string
  url: string
  /** The URL as a QR code: the path of an SVG of size by size modules. */
  code: { size: number; path: string }
}

export interface ProxyClient {
  address: string
  connected: string | null
  trusted: string | null
  refused: string | null
  requests: number
  last: string | null
}

export interface Onboarding {
  page: string
  addresses: DeviceAddress[]
  lan: boolean
  clients: ProxyClient[]
}

export function onboarding(signal?: AbortSignal): Promise<Onboarding> {
  return json('/onboarding', { signal: signal ?? null })
}
