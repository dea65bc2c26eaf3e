// What the server knows of the filter language: its fields, the values they have, and how a filter is understood.

import { body, json, search, send } from './client.ts'

export interface FilterField {
  name: string
  about: string
  kind: 'text' | 'name' | 'enum' | 'number' | 'status' | 'duration' | 'size' | 'time' | 'host' | 'address' | 'bool' | 'header' | 'body' | 'is' | 'error' | string
  operators: string[]
  choices: string[]
}

export interface Values {
  values: { value: string; count: number }[]
  /** How many exchanges were looked at, the newest. */
  of: number
  /** These were all there are. */
  all: boolean
}

export interface Parsed {
  filter: string
  words: string
  problem: { column: number; message: string } | null
}

export interface SavedFilter {
  id: number
  name: string
  filter: string
}

export async function fields(): Promise<FilterField[]> {
  return (await json<{ fields: FilterField[] }>('/filter/fields')).fields
}

export function values(field: string, contains: string, filter: string, limit: number, signal?: AbortSignal): Promise<Values> {
  return json(`/values${search({ field, contains, filter, limit })}`, { signal: signal ?? null })
}

export function read(filter: string, signal?: AbortSignal): Promise<Parsed> {
  return json(`/filter${search({ filter })}`, { signal: signal ?? null })
}

export async function savedFilters(): Promise<SavedFilter[]> {
  return (await json<{ filters: SavedFilter[] }>('/filters')).filters
}

export function saveFilter(name: string, filter: string): Promise<SavedFilter> {
  return json('/filters', body('POST', { name, filter }))
}

export async function removeFilter(id: number): Promise<void> {
  await send(`/filters/${id}`, { method: 'DELETE' })
}
