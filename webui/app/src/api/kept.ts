// What is kept: the retention and what there is, pruning, and the secrets of the vault.

import { body, json, list, search, send } from './client.ts'
import type { Explanation } from './settings.ts'

/** One limit, and who says it. */
export interface Limit {
  value: number
  source: 'flag' | 'environment' | 'file' | 'settings' | 'default' | string
  locked: boolean
}

export type LimitName = 'keep' | 'maxSize' | 'maxAge'

/** keep and maxSize are bytes, maxAge milliseconds; of the latter two 0 is no limit. */
export interface Retention extends Record<LimitName, Limit> {
  stored: { exchanges: number; database: number; bodies: number; used: number; oldest: string | null }
}

export interface Secret {
  name: string
  created: string
}

export function retention(signal?: AbortSignal): Promise<Retention> {
  return json('/retention', { signal: signal ?? null })
}

export function setRetention(input: Partial<Record<LimitName, number>>): Promise<Retention> {
  return json('/retention', body('PUT', input))
}

/** prune removes what is older than an age, or the oldest until the store is no larger than a size. Aborting stops it where it is. */
export function prune(what: { olderThan?: number; maxSize?: number }, signal: AbortSignal): Promise<{ removed: number; freed: number }> {
  return json('/prune', { ...body('POST', what), signal })
}

/** older counts the exchanges that an age would let go. */
export async function older(age: number, signal: AbortSignal): Promise<number> {
  const before = new Date(Date.now() - age).toISOString()
  return (await list({ filter: `at<${before} -mark -is:open`, limit: 1, total: true }, signal)).total ?? 0
}

/** bypassed asks what would be done for an address if the bypass list were this one. */
export function bypassed(url: string, via: readonly string[], bypass: string, signal: AbortSignal): Promise<Explanation> {
  return json(`/explain${search({ url, via: via.join(','), bypass })}`, { signal })
}

export async function setBypass(bypass: string): Promise<void> {
  await send('/routes/default', body('PUT', { bypass }))
}

export async function secrets(signal?: AbortSignal): Promise<Secret[]> {
  return (await json<{ secrets: Secret[] | null }>('/secrets', { signal: signal ?? null })).secrets ?? []
}

export async function setSecret(name: string, value: string): Promise<void> {
  await send('/secrets', body('POST', { name, value }))
}

export async function removeSecret(name: string): Promise<void> {
  await send(`/secrets/${encodeURIComponent(name)}`, { method: 'DELETE' })
}
