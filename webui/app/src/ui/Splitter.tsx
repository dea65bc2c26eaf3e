import type { RefObject } from 'preact'

/** Splitter lets list and detail share the width as the reader likes: by mouse, by finger, by arrow keys. */
export function Splitter({ value, onChange, within }: { value: number; onChange: (percent: number) => void; within: RefObject<HTMLElement | null> }) {
  const move = (e: PointerEvent) => {
    const box = within.current!.getBoundingClientRect()
    onChange(((e.clientX - box.left) / box.width) * 100)
  }
  return (
    <div
      class="splitter" role="separator" aria-orientation="vertical" aria-label="Width of the list" aria-valuenow={Math.round(value)} aria-valuemin={20} aria-valuemax={80} tabIndex={0}
      onPointerDown={(e) => { e.preventDefault(); e.currentTarget.setPointerCapture(e.pointerId) }}
      onPointerMove={(e) => { if (e.currentTarget.hasPointerCapture(e.pointerId)) move(e) }}
      onDblClick={() => onChange(45)}
      onKeyDown={(e) => {
        const by = e.key === 'ArrowLeft' ? -2 : e.key === 'ArrowRight' ? 2 : 0
        if (by === 0) return
        e.preventDefault()
        onChange(value + by)
      }}
    />
  )
}
