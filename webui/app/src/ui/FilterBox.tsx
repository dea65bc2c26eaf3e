import { useEffect, useRef, useState } from 'preact/hooks'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Close, Funnel, Search } from './icons.tsx'
import { grid } from './focus.ts'

/** FilterBox takes a filter. A mistake in it is underlined where it stands, and said below. */
export function FilterBox() {
  const app = useConsole()
  const input = useRef<HTMLInputElement>(null)
  const [scroll, setScroll] = useState(0)
  const text = app.typed.value
  const problem = app.feed.problem.value
  const wrong = problem && problem.filter === text.trim() ? problem : undefined
  const mark = wrong?.column ? place(input.current, text, wrong.column) : undefined

  useEffect(() => { setScroll(input.current?.scrollLeft ?? 0) }, [text, wrong])

  return (
    <form class="filter" role="search" onSubmit={(e) => {
      e.preventDefault()
      void app.applyFilter().then((ok) => { if (ok) grid()?.focus() })
    }}>
      <span class="lens"><Search /></span>
      <div class="field">
        <input
          id="filter" ref={input} type="text" class="filter-input" value={text} placeholder="Filter: host:*.example.com status>=400" aria-label="Filter"
          autocomplete="off" autocapitalize="off" spellcheck={false} aria-invalid={wrong ? 'true' : undefined} aria-describedby={wrong ? 'filter-problem' : undefined}
          onInput={(e) => app.type(e.currentTarget.value)} onScroll={(e) => setScroll(e.currentTarget.scrollLeft)}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown') {
              e.preventDefault()
              grid()?.focus()
            }
            if (e.key !== 'Escape') return
            e.preventDefault()
            if (text === '') grid()?.focus()
            else app.setFilter('')
          }}
        />
        {mark && <span class="squiggle" aria-hidden="true" style={{ left: `${mark.left - scroll}px`, width: `${mark.width}px` }} />}
      </div>
      {text !== '' && <button type="button" class="tool small" aria-label="Clear the filter" title="Clear the filter (Esc)" onClick={() => { app.setFilter(''); input.current?.focus() }}><Close /></button>}
      <Quick />
      {wrong && (
        <div class="filter-problem" id="filter-problem" role="alert">
          {mark && <span class="caret" aria-hidden="true" style={{ left: `${Math.max(0, mark.left - scroll)}px` }} />}
          <span>{wrong.column ? <b>Column {wrong.column}: </b> : null}{visible(wrong.message)}</span>
        </div>
      )}
    </form>
  )
}

const quick: [string, string][] = [
  ['cert.asked -cert.sent', 'asked for a client certificate, none sent'],
  ['cert.sent', 'client certificate sent'],
  ['cert.verdict:rejected', 'client certificate rejected'],
  ['answered:proxy', 'a proxy answered, not the origin'],
  ['hop.status:407', 'a proxy wants authentication'],
  ['error:tls', 'TLS failed'],
  ['is:failed', 'failed'],
  ['is:replay', 'sent again'],
  ['is:marked', 'marked'],
]

/** Quick is a list of filters at hand. */
function Quick() {
  const app = useConsole()
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const on = app.quick.value
  const close = (back: boolean) => {
    app.quick.value = false
    if (back) button.current?.focus()
  }
  useEffect(() => {
    if (!on) return
    box.current?.querySelector<HTMLElement>('button')?.focus()
    const outside = (e: PointerEvent) => { if (!box.current?.contains(e.target as Node) && !button.current?.contains(e.target as Node)) close(false) }
    document.addEventListener('pointerdown', outside)
    return () => document.removeEventListener('pointerdown', outside)
  }, [on])
  const move = (e: KeyboardEvent) => {
    const all = [...box.current!.querySelectorAll<HTMLElement>('button')]
    const at = all.indexOf(document.activeElement as HTMLElement)
    if (e.key === 'Escape') close(true)
    else if (e.key === 'ArrowDown') all[(at + 1) % all.length]!.focus()
    else if (e.key === 'ArrowUp') all[(at - 1 + all.length) % all.length]!.focus()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  return (
    <>
      <button ref={button} type="button" class="tool small" aria-label="Filters at hand" title="Filters at hand (q)" aria-expanded={on} aria-controls="quick" onClick={() => (app.quick.value = !on)}><Funnel /></button>
      {on && (
        <div class="quick" id="quick" role="group" aria-label="Filters at hand" ref={box} onKeyDown={move}>
          {quick.map(([f, means]) => <button key={f} type="button" onClick={() => { close(false); app.setFilter(f); setTimeout(() => grid()?.focus()) }}><code>{f}</code> <span class="dim">{means}</span></button>)}
        </div>
      )}
    </>
  )
}

/** place measures where the word at a column (from 1) stands in the box. */
function place(input: HTMLInputElement | null, text: string, column: number): { left: number; width: number } | undefined {
  if (!input) return undefined
  const style = getComputedStyle(input)
  const pen = document.createElement('canvas').getContext('2d')
  if (!pen) return undefined
  pen.font = `${style.fontSize} ${style.fontFamily}`
  const letters = [...text]
  const lead = text.length - text.trimStart().length
  const from = Math.min(lead + column - 1, letters.length)
  let to = from
  while (to < letters.length && !/[\s()]/.test(letters[to]!)) to++
  const left = pen.measureText(letters.slice(0, from).join('')).width
  const width = pen.measureText(letters.slice(from, Math.max(to, from + 1)).join('') || '0').width
  return { left: left + Number.parseFloat(style.paddingLeft), width: Math.max(width, 8) }
}
