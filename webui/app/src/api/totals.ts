// Exchanges added up by the server: by what they have in common, and over time.

import { json, search } from './client.ts'
import type { Page } from './types.ts'

export interface Totals {
  count: number
  failed: number
  /** Answered with a status from 400. */
  refused: number
  bytes: number
  /** The sum of the times that they took, in milliseconds. */
  time: number
}

export interface Group extends Totals {
  /** "" is those that have no such thing. */
  name: string
  /** Finds the group's exchanges. */
  filter: string
  first: string
  last: string
}

/** What an answer covers: 1 is everything; less is the newest, and asking again goes on. */
interface Partial { covered: number }

export interface Groups extends Partial {
  groups: Group[]
  total: number
  all: Totals
}

export interface Point extends Totals { bucket: number }

export interface Timeline extends Partial {
  start: string
  /** Milliseconds. */
  step: number
  buckets: number
  points: Point[]
  all: Totals
}

export type GroupSort = 'count' | 'failed' | 'refused' | 'bytes' | 'time' | 'mean' | 'first' | 'last' | 'name'

export function groups(q: { by: string; filter?: string; limit?: number; sort?: GroupSort; reverse?: boolean }, signal?: AbortSignal): Promise<Groups> {
  return json(`/groups${search({ ...q })}`, { signal: signal ?? null })
}

export function timeline(q: { filter?: string; buckets?: number; from?: string; to?: string }, signal?: AbortSignal): Promise<Timeline> {
  return json(`/timeline${search({ ...q })}`, { signal: signal ?? null })
}

/** sorted is the first exchanges of all that match, in an order other than that of their ids. */
export function sorted(q: { filter: string; sort: string; ascending: boolean; limit: number }, signal?: AbortSignal): Promise<Page> {
  return json(`/exchanges${search({ ...q })}`, { signal: signal ?? null })
}
