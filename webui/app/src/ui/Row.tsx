// A row of the list, and the head above the rows.

import { useRef } from 'preact/hooks'
import type { Summary } from '../api/types.ts'
import { duration } from '../lib/format.ts'
import { elapsed, outcome } from '../lib/story.ts'
import { axis, type Axis } from '../model/axis.ts'
import { column, resize, type Chosen, type ColumnId } from '../model/columns.ts'
import { cells, titles } from './cells.tsx'
import { useConsole } from './context.ts'

export interface RowProps {
  x: Summary
  y: number
  height: number
  index: number
  columns: readonly Chosen[]
  selected: boolean
  leaving: boolean
  time: Axis
  now: number
  onSelect: () => void
}

export function Row({ x, y, height, index, columns, selected, leaving, time, now, onSelect }: RowProps) {
  const spent = elapsed(x, now || Date.now())
  const certificate = columns.some((c) => c.id === 'certificate')
  const classes = ['row', outcome(x), selected ? 'selected' : '', leaving ? 'leaving' : '', index % 2 ? 'odd' : ''].join(' ')
  return (
    <div
      role="row" id={`row-${x.id}`} data-id={x.id} class={classes} aria-rowindex={index} aria-selected={selected}
      style={{ top: `${y}px`, height: `${height}px` }} onPointerDown={(e) => { if (e.button === 0 && e.pointerType === 'mouse') onSelect() }} onClick={onSelect}
    >
      {columns.map(({ id }) => {
        const Cell = cells[id]
        return <span key={id} role="gridcell" class={`c-${id}`} title={titles[id]?.(x) || undefined}>{Cell({ x, time, spent, certificate })}</span>
      })}
    </div>
  )
}

/** What fits where there is no room for columns: two lines a row. */
export const stackedColumns: readonly Chosen[] = (['status', 'method', 'host', 'path', 'size', 'took'] as const).map((id) => ({ id }))

/** Head names the columns. Its borders are dragged to resize, its names pressed to sort; the dialog of columns does both by keyboard. */
export function Head({ columns, time }: { columns: readonly Chosen[]; time: Axis }) {
  const app = useConsole()
  const sorting = app.look.sorting.value
  return (
    <div role="rowgroup" class="head">
      <div role="row" aria-rowindex={1} class="row">
        {columns.map(({ id }) => {
          const c = column(id)
          const sorted = sorting?.column === id ? (sorting.ascending ? 'ascending' : 'descending') : undefined
          return (
            <span key={id} role="columnheader" class={`c-${id}`} aria-sort={sorted} data-column={id}>
              {c.sort
                ? <button type="button" tabIndex={-1} class="sort" title={`Sort by ${c.name.toLowerCase()}`} onClick={() => app.look.sortBy(id)}>{c.name}{sorted && <span aria-hidden="true">{sorting!.ascending ? ' ↑' : ' ↓'}</span>}</button>
                : <span>{c.name}</span>}
              {id === 'fall' && time.busy > 0 && <small> {duration(time.busy)}</small>}
              <Border id={id} />
            </span>
          )
        })}
      </div>
    </div>
  )
}

/** Border is the right edge of a column's head. */
function Border({ id }: { id: ColumnId }) {
  const app = useConsole()
  const begun = useRef<{ x: number; width: number } | undefined>(undefined)
  const end = () => { begun.current = undefined }
  return (
    <span
      class="border" aria-hidden="true" title="Drag to resize, double-click for the usual width"
      onPointerDown={(e) => {
        if (e.button !== 0) return
        e.preventDefault()
        e.currentTarget.setPointerCapture(e.pointerId)
        begun.current = { x: e.clientX, width: e.currentTarget.parentElement!.getBoundingClientRect().width }
      }}
      onPointerMove={(e) => {
        if (begun.current) app.look.columns.value = resize(app.look.columns.value, id, begun.current.width + e.clientX - begun.current.x)
      }}
      onPointerUp={end} onPointerCancel={end}
      onDblClick={() => { app.look.columns.value = resize(app.look.columns.value, id, undefined) }}
    />
  )
}

/** waterfall lays out the rows' time. What lasts (open, a WebSocket, a tunnel) runs off the edge instead of stretching the axis. */
export function waterfall(rows: readonly Summary[], now: number): Axis {
  const spans = rows.map((x) => {
    const start = Date.parse(x.startedDateTime)
    return { start, end: start + elapsed(x, now), lasts: x.state === 'open' || x.kind !== 'http' }
  })
  const brief = spans.filter((s) => !s.lasts)
  if (brief.length === 0) return axis(spans)
  const least = Math.max(axis(brief).busy * 0.15, 1)
  return axis(spans.map((s) => (s.lasts ? { start: s.start, end: Math.min(s.end, s.start + least) } : s)))
}
