import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { count, plural } from '../lib/format.ts'
import { column, fit, template } from '../model/columns.ts'
import type { Sorting } from '../model/look.ts'
import { useConsole } from './context.ts'
import { headHeight, stacked, useNow, wide } from './List.tsx'
import { Head, Row, stackedColumns, waterfall } from './Row.tsx'

const overscan = 8

/** SortedList is the list in another order, for one look at it. */
export function SortedList({ by }: { by: Sorting }) {
  const app = useConsole()
  const box = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState({ width: 0, height: 0 })
  const [top, setTop] = useState(0)
  const [known, setKnown] = useState(0)
  const filter = app.feed.filter.value
  const rows = app.sorted.rows.value
  void app.feed.version.value
  const total = app.feed.rows.total
  const selected = app.selected.value

  const read = async () => {
    await app.sorted.read(app.feed.filter.peek(), by)
    setKnown(app.feed.rows.total)
    box.current?.scrollTo(0, 0)
  }
  useEffect(() => {
    void read()
  }, [filter, by])
  useEffect(() => () => app.sorted.forget(), [])
  useEffect(() => {
    const el = box.current!
    const observer = new ResizeObserver(() => setSize({ width: el.clientWidth, height: el.clientHeight }))
    observer.observe(el)
    return () => observer.disconnect()
  }, [])
  useSignalEffect(() => {
    const id = app.selected.value
    const el = box.current
    const at = app.sorted.rows.value?.findIndex((x) => x.id === id) ?? -1
    if (!el || at < 0) return
    const y = at * rowHeight
    const room = el.clientHeight - (narrow ? 0 : headHeight)
    if (y < el.scrollTop) el.scrollTop = y
    else if (y + rowHeight > el.scrollTop + room) el.scrollTop = y + rowHeight - room
  })

  const narrow = size.width > 0 && size.width < 520
  const columns = narrow ? stackedColumns : fit(app.look.columns.value, size.width)
  const rowHeight = narrow ? stacked : wide
  const all = rows ?? []
  const from = Math.max(0, Math.floor(top / rowHeight) - overscan)
  const to = Math.min(all.length, Math.ceil((top + size.height) / rowHeight) + overscan)
  const shown = all.slice(from, to)
  const now = useNow(shown.some((x) => x.state === 'open'))
  const time = waterfall(shown, now)
  const more = Math.max(0, total - known)
  return (
    <section class={narrow ? 'list narrow' : 'list'} aria-label="Exchanges" style={{ '--columns': template(columns) }}>
      <div
        id="exchanges" class="grid scroller" role="grid" tabIndex={0} aria-label={`Exchanges by ${column(by.column).name.toLowerCase()}, the ${by.ascending ? 'smallest' : 'largest'} first`}
        aria-rowcount={all.length + 1} aria-busy={rows === undefined} ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)}
        aria-activedescendant={shown.some((x) => x.id === selected) ? `row-${selected}` : undefined}
      >
        <Head columns={columns} time={time} />
        <div role="rowgroup" class="runway" style={{ height: `${all.length * rowHeight}px` }}>
          {shown.map((x, i) => (
            <Row key={x.id} x={x} y={(from + i) * rowHeight} height={rowHeight} index={from + i + 2} columns={columns} selected={x.id === selected} leaving={app.leaving.value.has(x.id)}
              time={time} now={x.state === 'open' ? now : 0} onSelect={() => app.select(x.id)} />
          ))}
        </div>
        {app.sorted.cut.value && <p class="cut" role="note">The first {count(all.length)} of {plural(total, 'exchange')}; a filter leaves fewer.</p>}
        {app.sorted.problem.value && <p class="cut" role="alert">Sorting failed: {app.sorted.problem.value}</p>}
      </div>
      {more > 0 && rows && <button type="button" class="pill" onClick={() => void read()}>Sort anew: {count(more)} new</button>}
    </section>
  )
}
