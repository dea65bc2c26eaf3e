// The list's columns: which there are, which the reader wants, in which order and how wide, and which of them have room.

export type ColumnId = 'id' | 'status' | 'method' | 'host' | 'path' | 'type' | 'size' | 'took' | 'fall' | 'route' | 'certificate' | 'client' |
  'started' | 'protocol' | 'answered' | 'connection'

export interface Column {
  id: ColumnId
  name: string
  /** The least width in pixels that it makes sense in, and the usual one. */
  least: number
  usual: number
  /** Its share of the width that is left over; without one it keeps its usual width. */
  share?: number
  /** What must be left to the others for it to have room at all. */
  spare?: number
  /** What the server sorts it by. */
  sort?: string
}

/** In the order in which columns give way where there is no room: the last first. */
export const columns: readonly Column[] = [
  { id: 'status', name: 'Status', least: 70, usual: 74, sort: 'status' },
  { id: 'path', name: 'Path', least: 170, usual: 260, share: 2.2, sort: 'path' },
  { id: 'method', name: 'Method', least: 66, usual: 72, sort: 'method' },
  { id: 'host', name: 'Host', least: 100, usual: 160, share: 1.1, sort: 'host' },
  { id: 'took', name: 'Time', least: 64, usual: 72, sort: 'took' },
  { id: 'size', name: 'Size', least: 62, usual: 74, sort: 'size' },
  { id: 'fall', name: 'Waterfall', least: 70, usual: 120, share: 0.9 },
  { id: 'type', name: 'Type', least: 60, usual: 76, sort: 'type' },
  { id: 'certificate', name: 'Certificate', least: 84, usual: 92, spare: 140 },
  { id: 'route', name: 'Route', least: 70, usual: 110, spare: 140, share: 0.5, sort: 'route' },
  { id: 'client', name: 'Client', least: 90, usual: 116, spare: 140, sort: 'client' },
  { id: 'started', name: 'Started', least: 92, usual: 98, spare: 140, sort: 'started' },
  { id: 'id', name: 'Number', least: 56, usual: 66, spare: 140 },
  { id: 'protocol', name: 'Protocol', least: 70, usual: 76, spare: 140, sort: 'protocol' },
  { id: 'answered', name: 'Answered by', least: 80, usual: 92, spare: 140 },
  { id: 'connection', name: 'Connection', least: 80, usual: 96, spare: 140 },
]

const byId = new Map(columns.map((c) => [c.id, c]))

export function column(id: ColumnId): Column { return byId.get(id)! }

/** A column as the reader wants it; without a width it has its usual one, or its share. */
export interface Chosen {
  id: ColumnId
  width?: number
}

export const usual: readonly Chosen[] = (['status', 'method', 'host', 'path', 'type', 'size', 'took', 'fall', 'route', 'certificate', 'client'] as const).map((id) => ({ id }))

const widest = 1200

/** read makes a choice of what was kept, whatever that is. A choice without any column is none. */
export function read(kept: unknown): Chosen[] {
  if (!Array.isArray(kept)) return [...usual]
  const chosen: Chosen[] = []
  for (const k of kept as unknown[]) {
    const { id, width } = (typeof k === 'object' && k !== null ? k : {}) as { id?: unknown; width?: unknown }
    if (!byId.has(id as ColumnId) || chosen.some((c) => c.id === id)) continue
    chosen.push(typeof width === 'number' && Number.isFinite(width) ? { id: id as ColumnId, width: clamp(id as ColumnId, width) } : { id: id as ColumnId })
  }
  return chosen.length > 0 ? chosen : [...usual]
}

function clamp(id: ColumnId, width: number): number {
  return Math.round(Math.max(column(id).least, Math.min(widest, width)))
}

/** toggle shows or hides a column. The last one stays. */
export function toggle(chosen: readonly Chosen[], id: ColumnId): Chosen[] {
  if (!chosen.some((c) => c.id === id)) return [...chosen, { id }]
  return chosen.length > 1 ? chosen.filter((c) => c.id !== id) : [...chosen]
}

/** move moves a column by places to the left (less than 0) or right. */
export function move(chosen: readonly Chosen[], id: ColumnId, by: number): Chosen[] {
  const from = chosen.findIndex((c) => c.id === id)
  if (from < 0) return [...chosen]
  const list = [...chosen]
  const [one] = list.splice(from, 1)
  list.splice(Math.max(0, Math.min(list.length, from + by)), 0, one!)
  return list
}

/** resize gives a column a width; undefined gives it its usual one back. */
export function resize(chosen: readonly Chosen[], id: ColumnId, width: number | undefined): Chosen[] {
  return chosen.map((c) => (c.id !== id ? c : width === undefined ? { id } : { id, width: clamp(id, width) }))
}

const gap = 8
const padding = 24

/** fit is the columns that have room in a width, in the reader's order: the least important give way. */
export function fit(chosen: readonly Chosen[], width: number): Chosen[] {
  let room = width - padding + gap
  const kept = new Set<ColumnId>()
  for (const c of columns) {
    if (!chosen.some((x) => x.id === c.id)) continue
    room -= c.least + gap
    if (room < (c.spare ?? 0) && kept.size > 0) break
    kept.add(c.id)
  }
  return chosen.filter((c) => kept.has(c.id))
}

/** template is the columns as CSS lays out a grid. Where nothing takes what is left over, it stays at the end. */
export function template(shown: readonly Chosen[]): string {
  return shown.map(({ id, width }) => {
    const c = column(id)
    if (width !== undefined) return `minmax(${c.least}px, ${width}px)`
    return c.share ? `minmax(${c.least}px, ${c.share}fr)` : `minmax(${c.least}px, ${c.usual}px)`
  }).join(' ')
}
