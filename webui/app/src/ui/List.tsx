// The list draws only the rows on the screen. Where it stands is one of three things: at the tail, which it then follows;
// at a row, which stays under the reader's eye whatever comes and goes around it; or somewhere in what is not loaded yet.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Summary } from '../api/types.ts'
import { axis, type Axis } from '../model/axis.ts'
import { shownWords, type Shown } from '../lib/certificate.ts'
import { count, duration, size, typeName } from '../lib/format.ts'
import { cause, elapsed, outcome, statusText } from '../lib/story.ts'
import { parts } from '../lib/url.ts'
import { clip, visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Down, Key, outcomeName, Sign, Star } from './icons.tsx'
import { Text } from './Text.tsx'

/** Browsers cannot scroll further than some 30 million pixels: what is not loaded takes no more room than this. */
const longestSpacer = 6_000_000
const wide = 28
/** The head sticks to the top of the scroller. */
const headHeight = 28
const stacked = 48
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
    if (following && !explicit.current && wasShown.current && selectedInside && above + at * rowHeight < top - 1) {
      const el = scroller.current!
      place.current = rowAt(el.scrollTop)
      feed.following.value = false
      return
    }
    wasShown.current = selectedInside && at >= first && at < last
    const el = scroller.current!
    if (Math.abs(el.scrollTop - top) > 0.5) {
      el.scrollTop = top
      set.current = el.scrollTop
    }
  })

  useEffect(() => { feed.need(first, last) })

  const onScroll = () => {
    const el = scroller.current!
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
    const now = scroller.current!.scrollTop
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
    <section class={narrow ? 'list narrow' : 'list'} aria-label="Exchanges">
      <div
        id="exchanges" class="grid scroller" role="grid" tabIndex={0} aria-label="Exchanges, oldest first" aria-rowcount={rows.total + 1} aria-busy={busy}
        aria-activedescendant={selectedInside && at >= from && at < to ? `row-${selected}` : undefined}
        ref={scroller} onScroll={onScroll} onWheel={(e) => { if (e.deltaY < 0 && scroller.current!.scrollTop > 0) leaveTail() }}
      >
        <div role="rowgroup" class="head">
          <div role="row" aria-rowindex={1} class="row">
            <span role="columnheader" class="c-status">Status</span>
            <span role="columnheader" class="c-method">Method</span>
            <span role="columnheader" class="c-host">Host</span>
            <span role="columnheader" class="c-path">Path</span>
            <span role="columnheader" class="c-type">Type</span>
            <span role="columnheader" class="c-size">Size</span>
            <span role="columnheader" class="c-time">Time</span>
            <span role="columnheader" class="c-fall">Timeline{time.busy > 0 && <small> {duration(time.busy)}</small>}</span>
          </div>
        </div>
        <div role="rowgroup" class="runway" style={{ height: `${height}px` }}>
          {shownRows.map((x, i) => (
            <Row
              key={x.id} x={x} y={above + (from + i) * rowHeight} height={rowHeight}
              index={rows.above + from + i + 2} selected={x.id === selected} leaving={leaving.has(x.id)}
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
    place.current = rowAt(scroller.current!.scrollTop)
    feed.following.value = false
  }
}

/** useNow is the time, ticking while something on the screen is under way. */
function useNow(ticking: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!ticking) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), 200)
    return () => clearInterval(timer)
  }, [ticking])
  return now
}

/** waterfall lays out the rows' time. What lasts (open, a WebSocket, a tunnel) runs off the edge instead of stretching the axis. */
function waterfall(rows: Summary[], now: number): Axis {
  const spans = rows.map((x) => {
    const start = Date.parse(x.startedDateTime)
    return { start, end: start + elapsed(x, now), lasts: x.state === 'open' || x.kind !== 'http' }
  })
  const brief = spans.filter((s) => !s.lasts)
  if (brief.length === 0) return axis(spans)
  const least = Math.max(axis(brief).busy * 0.15, 1)
  return axis(spans.map((s) => (s.lasts ? { start: s.start, end: Math.min(s.end, s.start + least) } : s)))
}

interface RowProps {
  x: Summary
  y: number
  height: number
  index: number
  selected: boolean
  leaving: boolean
  time: Axis
  now: number
  onSelect: () => void
}

function Row({ x, y, height, index, selected, leaving, time, now, onSelect }: RowProps) {
  const kind = outcome(x)
  const { host, path } = parts(clip(x.request.url, 1500))
  const why = clip(cause(x))
  const spent = elapsed(x, now || Date.now())
  const received = x.response?.bodySize ?? -1
  const classes = ['row', kind, selected ? 'selected' : '', leaving ? 'leaving' : '', index % 2 ? 'odd' : ''].join(' ')
  return (
    <div
      role="row" id={`row-${x.id}`} data-id={x.id} class={classes} aria-rowindex={index} aria-selected={selected}
      style={{ top: `${y}px`, height: `${height}px` }} onPointerDown={(e) => { if (e.button === 0 && e.pointerType === 'mouse') onSelect() }} onClick={onSelect}
    >
      <span role="gridcell" class="c-status">
        <Sign of={kind} /><span>{statusText(x)}</span>
        {outcomeName[kind] !== statusText(x) && <span class="offscreen">{outcomeName[kind]}</span>}
      </span>
      <span role="gridcell" class="c-method">{visible(clip(x.request.method, 30))}</span>
      <span role="gridcell" class="c-host" title={visible(host)}><Text text={host} />{why !== '' && <span class="cause stacked"><Text text={why} /></span>}</span>
      <span role="gridcell" class="c-path" title={visible(x.error ? `${path || host}: ${x.error.message}` : path || host)}>
        {x.mark !== '' && <span class="mark" title={`marked${x.mark === 'marked' ? '' : ': ' + visible(x.mark)}`}><Star filled /><span class="offscreen">marked</span></span>}
        {x.replayOf ? <span class="tag" title={`sent again from #${x.replayOf}`}>again</span> : null}
        {x.source === 'compose' && <span class="tag">composed</span>}
        {x.answeredBy === 'proxy' && <span class="tag proxy" title="a proxy on the way answered, not the origin">by proxy</span>}
        {x.certificate && shownWords[x.certificate as Shown] && <span class={`key ${x.certificate}`} title={shownWords[x.certificate as Shown]}><Key of={x.certificate as Shown} /><span class="offscreen">{shownWords[x.certificate as Shown]}</span></span>}
        {(x.kind !== 'tunnel' || why === '') && <span class="path"><Text text={x.kind === 'tunnel' ? 'bytes passed through' : path || '/'} /></span>}
        {why !== '' && <span class="cause"><Text text={why} /></span>}
      </span>
      <span role="gridcell" class="c-type">{x.kind === 'websocket' ? 'websocket' : visible(typeName(x.response?.content.mimeType))}</span>
      <span role="gridcell" class="c-size">{x.messages > 0 && x.kind === 'websocket' ? `${count(x.messages)} msg` : size(received)}</span>
      <span role="gridcell" class="c-time">{duration(x.state === 'open' ? Math.round(spent / 100) * 100 : spent)}</span>
      <span role="gridcell" class="c-fall"><Fall x={x} time={time} spent={spent} /></span>
    </div>
  )
}

/** Fall is a row's bar on the shared axis: until the answer began, and from then on. */
function Fall({ x, time, spent }: { x: Summary; time: Axis; spent: number }) {
  const start = Date.parse(x.startedDateTime)
  const receive = x.state === 'open' ? 0 : Math.min(Math.max(x.timings.receive, 0), spent)
  const a = time.at(start)
  const b = time.at(start + spent - receive)
  const c = time.at(start + spent)
  const percent = (n: number) => `${Math.round(n * 10000) / 100}%`
  return (
    <span class="fall" aria-hidden="true">
      <i class="wait" style={{ left: `min(${percent(a)}, 100% - 2px)`, width: percent(b - a) }} />
      {receive > 0 && <i class="receive" style={{ left: `min(${percent(b)}, 100% - 2px)`, width: percent(c - b) }} />}
    </span>
  )
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
