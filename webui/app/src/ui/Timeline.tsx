// The session over time: how many exchanges began when, what of them went wrong, and the bytes. A stretch that is brushed, with a
// pointer or with the two sliders, narrows the list to it.

import { useEffect, useRef, useState } from 'preact/hooks'
import * as api from '../api/totals.ts'
import { count, duration, moment, plural, size } from '../lib/format.ts'
import { brushed, stretchTerm, without, withTerm } from '../lib/terms.ts'
import { bars, bytesLine, marked, spoken, tableRows } from '../model/timeline.ts'
import { useConsole } from './context.ts'
import { Close } from './icons.tsx'
import { usePolled } from './polled.ts'

const height = 46
const buckets = 150

export function Timeline() {
  const app = useConsole()
  const filter = app.feed.filter.value
  const brush = brushed(filter)
  const base = brush ? without(filter, brush.term) : filter
  const [zoom, setZoom] = useState<{ from: number; to: number } | undefined>(undefined)
  const key = `${base} ${zoom?.from} ${zoom?.to}`
  const answer = usePolled((signal) => api.timeline({
    filter: base, buckets, ...(zoom ? { from: new Date(zoom.from).toISOString(), to: new Date(zoom.to).toISOString() } : {}),
  }, signal), key)
  const t = answer.value
  const start = t ? Date.parse(t.start) : 0
  const step = t?.step ?? 1
  const n = t?.buckets ?? 1
  const end = start + n * step

  const apply = (from: number, to: number) => {
    const term = stretchTerm(from, Math.max(from, to))
    app.setFilter(withTerm(base, term))
  }
  const clear = () => app.setFilter(base)
  const named = (ms: number) => moment(new Date(ms).toISOString()).slice(end - start > 20 * 3_600_000 ? 0 : 11, end - start < 10_000 ? 23 : 19)

  return (
    <section class="timeline" aria-label="Timeline">
      {t && <Picture key={zoom ? 'part' : 'all'} t={t} brush={brush} onBrush={apply} onClear={clear} named={named} />}
      <div class="timeline-foot">
        <span>{t ? named(start) : ''}</span>
        <span class="grow" />
        {brush ? (
          <>
            <span class="brush-words">{named(brush.from)} – {named(brush.to)} ({duration(Math.max(brush.to - brush.from, 0))})</span>
            {!zoom && brush.to > brush.from && <button type="button" class="bar-button" onClick={() => setZoom({ from: brush.from, to: brush.to })}>Zoom in</button>}
            <button type="button" class="bar-button" onClick={clear}>All times <Close /></button>
          </>
        ) : t && <span class="legend">{summary(t)}</span>}
        {zoom && <button type="button" class="bar-button" onClick={() => setZoom(undefined)}>Zoom out</button>}
        <span class="grow" />
        <span>{t ? named(end) : ''}</span>
      </div>
      {answer.problem && <p class="note" role="alert">{answer.problem}</p>}
    </section>
  )
}

/** summary says in words what the picture shows, for everybody. */
function summary(t: api.Timeline): preact.ComponentChildren {
  const a = t.all
  return (
    <>
      <i class="key-ok" aria-hidden="true" /> {plural(a.count, 'exchange')}
      {a.refused > 0 && <> · <i class="key-refused" aria-hidden="true" /> {plural(a.refused, 'error')} answered</>}
      {a.failed > 0 && <> · <i class="key-failed" aria-hidden="true" /> {count(a.failed)} failed</>}
      <> · <span class="together"><i class="key-bytes" aria-hidden="true" /> {size(a.bytes)}</span></>
      {t.covered < 1 && <> · so far of the newest {Math.floor(t.covered * 100)} %</>}
    </>
  )
}

interface PictureProps {
  t: api.Timeline
  brush: { from: number; to: number } | undefined
  onBrush: (from: number, to: number) => void
  onClear: () => void
  named: (ms: number) => string
}

function Picture({ t, brush, onBrush, onClear, named }: PictureProps) {
  const box = useRef<HTMLDivElement>(null)
  const start = Date.parse(t.start)
  const n = t.buckets
  /** What is being brushed, in buckets; from may lie behind to. */
  const [drag, setDrag] = useState<{ from: number; to: number } | undefined>(undefined)
  const [at, setAt] = useState<number | undefined>(undefined)
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => () => clearTimeout(due.current), [])
  useEffect(() => { setDrag(undefined) }, [brush?.from, brush?.to])

  const place = (e: PointerEvent) => {
    const b = box.current!.getBoundingClientRect()
    return Math.max(0, Math.min(n, ((e.clientX - b.left) / b.width) * n))
  }
  const shown = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) }
    : brush ? { from: clamp((brush.from - start) / t.step), to: clamp((brush.to - start) / t.step) } : undefined
  function clamp(x: number): number { return Math.max(0, Math.min(n, x)) }
  const finish = (from: number, to: number) => {
    const lo = Math.floor(Math.min(from, to))
    const hi = Math.max(lo + 1, Math.ceil(Math.max(from, to)))
    onBrush(Math.floor(start + lo * t.step), Math.ceil(start + hi * t.step) - 1)
  }
  const slide = (which: 'from' | 'to', value: number) => {
    const now = { from: shown ? Math.floor(shown.from) : 0, to: shown ? Math.ceil(shown.to) : n }
    now[which] = value
    if (which === 'from') now.from = Math.min(now.from, now.to - 1)
    else now.to = Math.max(now.to, now.from + 1)
    setDrag(now)
    clearTimeout(due.current)
    due.current = setTimeout(() => { if (now.from <= 0 && now.to >= n) onClear(); else finish(now.from, now.to) }, 350)
  }
  const drawn = bars(t, height)
  const percent = (x: number) => `${(x / n) * 100}%`
  const point = at === undefined ? undefined : t.points.find((p) => p.bucket === at)
  return (
    <div class="timeline-picture">
      <div
        class="brush-box" ref={box}
        onPointerDown={(e) => {
          if (e.button !== 0) return
          e.currentTarget.setPointerCapture(e.pointerId)
          const x = place(e)
          setDrag({ from: x, to: x })
        }}
        onPointerMove={(e) => {
          setAt(Math.min(n - 1, Math.floor(place(e))))
          if (drag && e.currentTarget.hasPointerCapture(e.pointerId)) setDrag({ from: drag.from, to: place(e) })
        }}
        onPointerLeave={() => setAt(undefined)}
        onPointerUp={(e) => {
          if (!drag) return
          const b = box.current!.getBoundingClientRect()
          const moved = (Math.abs(place(e) - drag.from) / n) * b.width
          // A press without a stretch takes the stretch away, or takes the bar that it was on.
          if (moved >= 3) finish(drag.from, place(e))
          else if (brush) { setDrag(undefined); onClear() } else finish(drag.from, drag.from)
        }}
        onPointerCancel={() => setDrag(undefined)}
      >
        <svg viewBox={`0 0 ${n} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          {drawn.map((b) => (
            <g key={b.bucket}>
              {b.ok > 0 && <rect class="ok" x={b.bucket + 0.08} width={0.84} y={height - b.ok} height={b.ok} />}
              {b.refused > 0 && <rect class="refused" x={b.bucket + 0.08} width={0.84} y={height - b.ok - b.refused} height={b.refused} />}
              {b.failed > 0 && <rect class="failed" x={b.bucket + 0.08} width={0.84} y={height - b.ok - b.refused - b.failed} height={b.failed} />}
            </g>
          ))}
          <polyline class="bytes" points={bytesLine(t, height)} vector-effect="non-scaling-stroke" />
        </svg>
        {marked(t).map((b) => <span key={b.bucket} class="failed-mark" aria-hidden="true" style={{ left: percent(b.bucket + 0.5) }}>×</span>)}
        {shown && <>
          <span class="shade" style={{ left: '0', width: percent(shown.from) }} />
          <span class="shade" style={{ left: percent(shown.to), width: percent(n - shown.to) }} />
          <span class="edge" style={{ left: percent(shown.from) }} />
          <span class="edge" style={{ left: percent(shown.to) }} />
        </>}
        {at !== undefined && <span class="pointer" style={{ left: percent(at + 0.5) }} />}
      </div>
      {at !== undefined && <span class={`tip${at > n / 2 ? ' left' : ''}`} style={{ left: percent(at + 0.5) }} role="presentation">{named(start + at * t.step)}: {point ? spoken(point) : 'nothing'}</span>}
      <input type="range" class="brush-end" min={0} max={n} step={1} value={Math.floor(shown?.from ?? 0)} aria-label="Exchanges from" aria-valuetext={named(start + (shown?.from ?? 0) * t.step)}
        onInput={(e) => slide('from', e.currentTarget.valueAsNumber)} onKeyDown={(e) => { if (e.key === 'Escape' && brush) { e.preventDefault(); onClear() } }} />
      <input type="range" class="brush-end to" min={0} max={n} step={1} value={Math.ceil(shown?.to ?? n)} aria-label="Exchanges until" aria-valuetext={named(start + (shown?.to ?? n) * t.step)}
        onInput={(e) => slide('to', e.currentTarget.valueAsNumber)} onKeyDown={(e) => { if (e.key === 'Escape' && brush) { e.preventDefault(); onClear() } }} />
      <div class="offscreen"><table>
        <caption>Exchanges over time</caption>
        <thead><tr><th scope="col">From</th><th scope="col">Exchanges</th><th scope="col">Errors answered</th><th scope="col">Failed</th><th scope="col">Bytes</th></tr></thead>
        <tbody>{tableRows(t, 12).map((r) => <tr key={r.from}><th scope="row">{named(start + r.from * t.step)}</th><td>{count(r.count)}</td><td>{count(r.refused)}</td><td>{count(r.failed)}</td><td>{size(r.bytes)}</td></tr>)}</tbody>
      </table></div>
    </div>
  )
}
