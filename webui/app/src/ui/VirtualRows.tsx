// Rows of one height, of which only those on the screen exist. Longer runs than a browser can scroll are scaled: the
// scroll bar then names a share, and the wheel still moves by rows.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'

const longest = 8_000_000

interface Props {
  rows: number
  rowHeight: number
  label: string
  class?: string
  /** Draws the rows from first to last (exclusive). */
  children: (first: number, last: number) => ComponentChildren
  /** Told how many characters fit into a row. */
  onColumns?: (columns: number) => void
  /** Keep showing the last row as rows are added. */
  follow?: boolean
  /** A row to bring into view, anew with each new object. */
  reveal?: { row: number } | undefined
}

export function VirtualRows({ rows, rowHeight, label, class: name = '', children, onColumns, follow = false, reveal }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const probe = useRef<HTMLSpanElement>(null)
  const [size, setSize] = useState({ height: 0, width: 0 })
  const [top, setTop] = useState(0)
  const atEnd = useRef(true)

  useEffect(() => {
    const el = box.current!
    const measure = () => {
      if (!probe.current) return
      setSize({ height: el.clientHeight, width: el.clientWidth })
      const ch = probe.current.getBoundingClientRect().width / 20
      if (onColumns && ch > 0 && el.clientWidth > 0) onColumns(Math.max(20, Math.floor((el.clientWidth - gutter(el)) / ch)))
    }
    const observer = new ResizeObserver(measure)
    observer.observe(el)
    measure()
    return () => observer.disconnect()
  }, [])

  const full = rows * rowHeight
  const height = Math.min(full, longest)
  const scale = full > size.height && height > size.height ? (full - size.height) / (height - size.height) : 1
  const offset = top * scale
  const first = Math.max(0, Math.min(Math.floor(offset / rowHeight) - 4, rows))
  const last = Math.min(rows, Math.ceil((offset + size.height) / rowHeight) + 4)

  useLayoutEffect(() => {
    const el = box.current!
    if (follow && atEnd.current && el.scrollHeight > el.clientHeight) el.scrollTop = el.scrollHeight
  }, [rows, follow, size.height])

  useLayoutEffect(() => {
    if (!reveal) return
    const el = box.current!
    const at = reveal.row * rowHeight
    // What is on the screen already stays where it is.
    if (at >= offset && at + rowHeight <= offset + size.height) return
    el.scrollTop = Math.max(0, at - size.height / 2) / scale
  }, [reveal])

  return (
    <div
      ref={box} class={`virtual ${name}`} role="region" aria-label={label} tabIndex={0}
      onScroll={() => {
        const el = box.current
        if (!el) return // what scrolled is gone before the event of it comes
        atEnd.current = el.scrollTop + el.clientHeight >= el.scrollHeight - 4
        setTop(el.scrollTop)
      }}
      onWheel={(e) => {
        if (scale <= 1.01 || e.ctrlKey) return
        e.preventDefault()
        box.current!.scrollTop += (e.deltaMode === 1 ? e.deltaY * rowHeight : e.deltaY) / scale
      }}
    >
      <span ref={probe} class="probe" aria-hidden="true">{'0'.repeat(20)}</span>
      <div class="runway" style={{ height: `${height}px` }}>
        <div class="window" style={{ transform: `translateY(${scale > 1.01 ? top - (offset - first * rowHeight) : first * rowHeight}px)` }}>{children(first, last)}</div>
      </div>
    </div>
  )
}

/** gutter is what a row's padding and line number take from its width. */
function gutter(el: HTMLElement): number {
  return Number.parseFloat(getComputedStyle(el).getPropertyValue('--gutter')) || 24
}
