import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Values } from '../api/language.ts'
import { accept, fieldOptions, headerOptions, place, valueOptions, type Option, type Place } from '../model/complete.ts'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Close, Search } from './icons.tsx'
import { grid } from './focus.ts'
import { Quick } from './Quick.tsx'
import { Text } from './Text.tsx'

/** How long a search of the server waits for the next letter. */
const pause = 120

/** FilterBox takes a filter, and completes it. A mistake in it is underlined where it stands, and said below. */
export function FilterBox() {
  const app = useConsole()
  const input = useRef<HTMLInputElement>(null)
  const [scroll, setScroll] = useState(0)
  const [cursor, setCursor] = useState(0)
  const [open, setOpen] = useState(false)
  const [at, setAt] = useState(-1)
  const moved = useRef<number | undefined>(undefined)
  const text = app.typed.value
  const here = open ? place(text, cursor, app.filters.fields.value) : undefined
  const { options, of } = useOptions(here, text)
  const shown = open && options.length > 0
  const chosen = shown ? options[at] : undefined
  // What Tab takes. Where nothing is being written it goes on to the next control, as it does elsewhere.
  const offered = chosen ?? (shown && here && (here.kind !== 'field' || here.word !== '') ? options[0] : undefined)
  const problem = app.feed.problem.value
  // What is being written is not yet a mistake.
  const early = shown && here !== undefined && problem?.column !== undefined && problem.column > [...text.trimStart().slice(0, here.term)].length
  const wrong = problem && problem.filter === text.trim() && !early ? problem : undefined
  const mark = wrong?.column ? measure(input.current, text, wrong.column) : undefined

  useEffect(() => { setScroll(input.current?.scrollLeft ?? 0) }, [text, wrong])
  useLayoutEffect(() => {
    if (moved.current === undefined) return
    input.current?.setSelectionRange(moved.current, moved.current)
    setCursor(moved.current)
    moved.current = undefined
  }, [text])

  const take = (o: Option) => {
    if (!here && !o.whole) return
    const next = accept(text, here ?? { kind: 'field', from: 0, to: text.length, word: '', inList: false, term: 0, rest: '' }, o)
    moved.current = next.cursor
    setAt(-1)
    setOpen(!o.whole)
    if (next.text === text) input.current?.setSelectionRange(next.cursor, next.cursor)
    app.type(next.text)
    input.current?.focus()
  }
  const submit = () => {
    setOpen(false)
    void app.applyFilter().then((ok) => {
      if (!ok) return
      app.filters.remember(app.feed.filter.value)
      grid()?.focus()
    })
  }
  const press = (e: KeyboardEvent) => {
    if (e.isComposing) return
    const n = options.length
    if (e.key === 'ArrowDown' && shown) setAt(at + 1 >= n ? 0 : at + 1)
    else if (e.key === 'ArrowUp' && shown) setAt(at <= 0 ? n - 1 : at - 1)
    else if (e.key === 'ArrowDown' && !open && e.altKey) setOpen(true)
    else if (e.key === 'ArrowDown') grid()?.focus()
    else if (e.key === 'Enter' && chosen && !e.shiftKey) take(chosen)
    else if (e.key === 'Tab' && offered && !e.shiftKey) take(offered)
    else if (e.key === ' ' && e.ctrlKey) setOpen(true)
    else if (e.key === 'Escape' && shown) setOpen(false)
    else if (e.key === 'Escape' && text === '') (grid() ?? { focus: () => input.current?.blur() }).focus()
    else if (e.key === 'Escape') app.setFilter('')
    else return
    e.preventDefault()
  }
  const follow = () => {
    const to = input.current?.selectionStart ?? 0
    if (to === cursor) return
    setCursor(to)
    setAt(-1)
  }
  return (
    <form class="filter" role="search" onSubmit={(e) => { e.preventDefault(); submit() }}>
      <span class="lens"><Search /></span>
      <div class="field">
        <input
          id="filter" ref={input} type="text" class="filter-input" value={text} placeholder="Filter: host:*.example.com status>=400" aria-label="Filter"
          role="combobox" aria-expanded={shown} aria-controls="filter-options" aria-autocomplete="list" aria-activedescendant={chosen ? `filter-option-${at}` : undefined}
          autocomplete="off" autocapitalize="off" spellcheck={false} aria-invalid={wrong ? 'true' : undefined} aria-describedby={wrong ? 'filter-problem' : app.filters.words.value ? 'filter-words' : undefined}
          onInput={(e) => {
            app.type(e.currentTarget.value)
            setCursor(e.currentTarget.selectionStart ?? 0)
            setAt(-1)
            setOpen(true)
          }}
          onScroll={(e) => setScroll(e.currentTarget.scrollLeft)} onKeyDown={press} onKeyUp={follow} onSelect={follow}
          onBlur={() => {
            setOpen(false)
            if (!problem && text.trim() === app.feed.filter.value) app.filters.remember(app.feed.filter.value)
          }}
          onFocus={() => {
            app.filters.prepare()
            follow()
            // What was used lately is offered at once; a filter that stands is left alone until it is written in.
            setOpen(text === '')
          }}
          onClick={() => { if (text === '') setOpen(true) }}
        />
        {mark && <span class="squiggle" aria-hidden="true" style={{ left: `${mark.left - scroll}px`, width: `${mark.width}px` }} />}
      </div>
      {text !== '' && <button type="button" class="tool small" aria-label="Clear the filter" title="Clear the filter (Esc)" onClick={() => { app.setFilter(''); input.current?.focus() }}><Close /></button>}
      <Quick />
      <div class="filter-drop">
        {wrong && (
          <div class="filter-problem" id="filter-problem" role="alert">
            {mark && <span class="caret" aria-hidden="true" style={{ left: `${Math.max(0, mark.left - scroll)}px` }} />}
            <span>{wrong.column ? <b>Column {wrong.column}: </b> : null}{visible(wrong.message)}</span>
          </div>
        )}
        {shown && <Options options={options} at={at} of={of} first={offered !== undefined && !chosen} onTake={take} />}
      </div>
    </form>
  )
}

/** Options is the list of what can be put in. */
function Options({ options, at, of, first, onTake }: { options: Option[]; at: number; of: Values | undefined; first: boolean; onTake: (o: Option) => void }) {
  const box = useRef<HTMLUListElement>(null)
  useEffect(() => { box.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }) }, [at])
  return (
    <div class="filter-options" onPointerDown={(e) => e.preventDefault()}>
      <ul role="listbox" id="filter-options" aria-label="Completions" ref={box}>
        {options.map((o, i) => (
          <li key={o.text} id={`filter-option-${i}`} role="option" aria-selected={i === at} onClick={() => onTake(o)}>
            <code><Text text={o.label} /></code>
            {o.about !== '' && <span class="about">{visible(o.about)}</span>}
            {o.count !== undefined && <span class="count">{o.count.toLocaleString('en-US')}<span class="offscreen"> exchanges</span></span>}
          </li>
        ))}
      </ul>
      <p class="hint">
        <kbd>↓</kbd> choose {at >= 0 ? <><kbd>Tab</kbd> or <kbd>Enter</kbd> take</> : <>{first && <><kbd>Tab</kbd> take the first </>}<kbd>Enter</kbd> filter by what is written</>}{counted(of)}
      </p>
    </div>
  )
}

/** counted says what the numbers beside values are of. */
function counted(of: Values | undefined): string {
  if (!of || of.values.length === 0) return ''
  const n = of.of.toLocaleString('en-US')
  return of.all ? ` · counted in all ${n} exchanges` : ` · counted in the newest ${n} exchanges`
}

/** useOptions are the completions of a place, with those values that the server has once it has told them. */
function useOptions(here: Place | undefined, text: string): { options: Option[]; of: Values | undefined } {
  const app = useConsole()
  const [seen, setSeen] = useState<{ id: string; values: Values | undefined } | undefined>(undefined)
  const id = here && here.kind !== 'field' ? JSON.stringify([here.field?.name, here.word, here.rest]) : ''
  useEffect(() => {
    if (!here || here.kind === 'field') return
    let gone = false
    const timer = setTimeout(() => void app.filters.values(here).then((values) => { if (!gone) setSeen({ id, values }) }), seen ? pause : 0)
    return () => {
      gone = true
      clearTimeout(timer)
    }
  }, [id])
  if (!here) return { options: [], of: undefined }
  // Until the next answer those that still fit stay, so that the list does not flicker.
  const values = seen?.id === id ? seen.values : seen && here.kind !== 'field' && seen.id.startsWith(JSON.stringify([here.field?.name]).slice(0, -1)) ? fitting(seen.values, here.word) : undefined
  if (here.kind === 'value') return { options: valueOptions(here, values).filter((o) => o.text.trim() !== text.slice(here.from, here.to)), of: values }
  if (here.kind === 'header') return { options: headerOptions(values), of: values }
  const options = fieldOptions(here.word, app.filters.fields.value)
  if (text.trim() !== '') return { options, of: undefined }
  const saved = app.filters.saved.value.map((f): Option => ({ text: f.filter, label: f.filter, about: `saved: ${f.name}`, whole: true }))
  const used = app.filters.history().filter((f) => !saved.some((s) => s.text === f)).slice(0, 6).map((f): Option => ({ text: f, label: f, about: 'used lately', whole: true }))
  return { options: [...used, ...saved, ...options], of: undefined }
}

function fitting(v: Values | undefined, word: string): Values | undefined {
  return v && { ...v, values: v.values.filter((x) => x.value.toLowerCase().includes(word.toLowerCase())) }
}

/** measure finds where the word at a column (from 1) stands in the box. */
function measure(input: HTMLInputElement | null, text: string, column: number): { left: number; width: number } | undefined {
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

/** FilterWords says in words what the list shows. */
export function FilterWords() {
  const app = useConsole()
  const words = app.filters.words.value
  if (words === '' || app.feed.filter.value === '' || app.page.value !== 'traffic') return null
  return <section class="filter-words" aria-label="The filter in words"><p id="filter-words" title={visible(words)}><span class="dim">Shown where </span><Text text={words} /></p></section>
}
