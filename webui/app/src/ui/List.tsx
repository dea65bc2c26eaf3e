// The list draws only the rows on the screen. Where it stands is one of three things: at the tail, which it then follows;
// at a row, which stays under the reader's eye whatever comes and goes around it; or somewhere in what is not loaded yet.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { count } from '../lib/format.ts'
import { fit, template } from '../model/columns.ts'
import { useConsole } from './context.ts'
import { Down } from './icons.tsx'
import { Head, Row, stackedColumns, waterfall } from './Row.tsx'

/** Browsers cannot scroll further than some 30 million pixels: what is not loaded takes no more room than this. */
const longestSpacer = 6_000_000
export const wide = 28
/** The head sticks to the top of the scroller. */
export const headHeight = 28
export const stacked = 48
const overscan = 6

type Place = { kind: 'tail' } | { kind: 'row'; id: number; offset: number } | { kind: 'gap'; top: number }

export function List() {
  const app = useConsole()
  const feed = app.feed
  const scroller = useRef<HTMLDivElement>(null)
  const [outer, setBox] = useState({ height: 0, width: 0 })
  const place = useRef<Place>({ kind: 'tail' })
  const scrolled = useSignal(0)
  const set = useRef(-1)
  const jump = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const explicit = useRef(true)

  useEffect(() => {
    const el = scroller.current!
    const observer = new ResizeObserver(() => setBox({ height: el.clientHeight, width: el.clientWidth }))
    observer.observe(el)
    return () => observer.disconnect()
  }, [])

  // Version and scrolling are what this component draws anew for.
  void feed.version.value
  void scrolled.value
  const following = feed.following.value
  const selected = app.selected.value
  const leaving = app.leaving.value
  const rows = feed.rows
  const list = rows.list
  const narrow = outer.width > 0 && outer.width < 520
  const box = { height: Math.max(0, outer.height - (narrow ? 0 : headHeight)), width: outer.width }
  const columns = narrow ? stackedColumns : fit(app.look.columns.value, box.width)
  const rowHeight = narrow ? stacked : wide
  const above = Math.min(rows.above * rowHeight, longestSpacer)
  const below = Math.min(rows.below * rowHeight, longestSpacer)
  const height = above + list.length * rowHeight + below
  const lowest = Math.max(0, height - box.height)

  if (following) place.current = { kind: 'tail' }
  else if (place.current.kind === 'tail') place.current = rowAt(lowestBefore(scroller.current))
  const top = topOf(place.current)

  function lowestBefore(el: HTMLDivElement | null): number {
    return el ? el.scrollTop : lowest
  }

  function rowAt(y: number): Place {
    const at = Math.floor((y - above) / rowHeight)
    const row = list[at]
    if (row) return { kind: 'row', id: row.id, offset: y - above - at * rowHeight }
    return { kind: 'gap', top: y }
  }

  function topOf(p: Place): number {
    let y = lowest
    if (p.kind === 'row') y = above + rows.place(p.id) * rowHeight + p.offset
    if (p.kind === 'gap') y = p.top
    return Math.max(0, Math.min(y, lowest))
  }

  const first = Math.floor((top - above) / rowHeight)
  const last = Math.ceil((top - above + box.height) / rowHeight)
  const from = Math.max(0, first - overscan)
  const to = Math.min(list.length, last + overscan)
  feed.shown = [Math.max(0, Math.min(first, list.length)), Math.max(0, Math.min(last, list.length))]

  // Following stops where it would carry the selection off the screen, unless the reader asked to follow.
  const wasShown = useRef(false)
  const at = selected === undefined ? -1 : rows.place(selected)
  const selectedInside = at >= 0 && list[at]?.id === selected
  useLayoutEffect(() => {
    const el = scroller.current
    if (!el) return // the list has just been left
    if (following && !explicit.current && wasShown.current && selectedInside && above + at * rowHeight < top - 1) {
      place.current = rowAt(el.scrollTop)
      feed.following.value = false
      return
    }
    wasShown.current = selectedInside && at >= first && at < last
    if (Math.abs(el.scrollTop - top) > 0.5) {
      el.scrollTop = top
      set.current = el.scrollTop
    }
  })

  useEffect(() => { feed.need(first, last) })

  const onScroll = () => {
    const el = scroller.current
    if (!el) return
    const y = el.scrollTop
    if (Math.abs(y - set.current) < 1) return
    set.current = -1
    clearTimeout(jump.current)
    const bottom = el.scrollHeight - el.clientHeight
    if (rows.atEnd && y >= bottom - 2) {
      explicit.current = false
      feed.following.value = true
      feed.fresh.value = 0
    } else {
      feed.following.value = false
      place.current = rowAt(y)
      if (place.current.kind === 'gap') {
        // Somewhere that is not loaded: find out where, once the scroll bar rests.
        jump.current = setTimeout(() => {
          const share = y < above ? (y / above) * shareBefore() : shareBefore() + ((y - above - list.length * rowHeight) / Math.max(below, 1)) * (1 - shareBefore())
          void feed.jump(share).then(() => {
            const middle = rows.list[Math.floor(rows.list.length / 2)]
            if (y < rowHeight && rows.atStart) place.current = { kind: 'row', id: rows.first, offset: 0 }
            else if (middle) place.current = { kind: 'row', id: middle.id, offset: 0 }
            scrolled.value++
          })
        }, 90)
      }
    }
    scrolled.value++
  }
  const shareBefore = () => (rows.newest > 0 ? rows.first / rows.newest : 0)

  /** show scrolls the selection into view. */
  const show = (id: number) => {
    const i = rows.place(id)
    if (list[i]?.id !== id || box.height === 0) return
    const y = above + i * rowHeight
    const now = scroller.current?.scrollTop
    if (now === undefined) return // it is gone already
    let goal = now
    if (y < now) goal = y
    else if (y + rowHeight > now + box.height) goal = y + rowHeight - box.height
    if (goal === now) return
    if (goal >= lowest - 1 && rows.atEnd) {
      feed.following.value = true
      feed.fresh.value = 0
    } else {
      feed.following.value = false
      place.current = rowAt(goal)
    }
    scrolled.value++
  }
  const target = useRef<number | undefined>(undefined)
  useEffect(() => {
    if (selected !== target.current) {
      if (selected !== undefined && selectedInside && box.height > 0) {
        explicit.current = false
        wasShown.current = false
        show(selected)
        target.current = selected
      } else if (selected === undefined) {
        target.current = undefined
      }
    }
  })

  useSignalEffect(() => {
    // f, or the pill: follow on, whatever is selected.
    if (app.follow.value > 0) explicit.current = true
  })

  const shownRows = list.slice(from, to)
  const onScreen = list.slice(feed.shown[0], feed.shown[1])
  const pending = onScreen.some((x) => x.state === 'open')
  const now = useNow(pending)
  const time = useMemo(() => waterfall(onScreen, now), [feed.version.value, first, last, box.height, pending ? now : 0, list])
  const fresh = feed.fresh.value
  const busy = feed.loading.value

  return (
    <section class={narrow ? 'list narrow' : 'list'} aria-label="Exchanges" style={{ '--columns': template(columns) }}>
      <div
        id="exchanges" class="grid scroller" role="grid" tabIndex={0} aria-label="Exchanges, oldest first" aria-rowcount={rows.total + 1} aria-busy={busy}
        aria-activedescendant={selectedInside && at >= from && at < to ? `row-${selected}` : undefined}
        ref={scroller} onScroll={onScroll} onWheel={(e) => { if (e.deltaY < 0 && e.currentTarget.scrollTop > 0) leaveTail() }}
      >
        <Head columns={columns} time={time} />
        <div role="rowgroup" class="runway" style={{ height: `${height}px` }}>
          {shownRows.map((x, i) => (
            <Row
              key={x.id} x={x} y={above + (from + i) * rowHeight} height={rowHeight}
              index={rows.above + from + i + 2} columns={columns} selected={x.id === selected} leaving={leaving.has(x.id)}
              time={time} now={x.state === 'open' ? now : 0} onSelect={() => app.select(x.id)}
            />
          ))}
        </div>
      </div>
      {fresh > 0 && !following && (
        <button type="button" class="pill" onClick={() => app.followTail()}>
          <Down /> {count(fresh)} new
        </button>
      )}
    </section>
  )

  function leaveTail(): void {
    if (!feed.following.value || lowest <= 0) return
    if (scroller.current) place.current = rowAt(scroller.current.scrollTop)
    feed.following.value = false
  }
}

/** useNow is the time, ticking while something on the screen is under way. */
export function useNow(ticking: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!ticking) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), 200)
    return () => clearInterval(timer)
  }, [ticking])
  return now
}

/** CountLine says how many exchanges there are, for the status line. */
export function CountLine() {
  const app = useConsole()
  const text = useComputed(() => {
    void app.feed.version.value
    const n = app.feed.rows.total
    return app.feed.filter.value ? `${count(n)} of ${count(Math.max(app.feed.status.value.exchanges ?? n, n))} match` : `${count(n)} ${n === 1 ? 'exchange' : 'exchanges'}`
  })
  return <span>{text}</span>
}
