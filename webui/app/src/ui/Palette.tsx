import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks'
import type { SavedFilter } from '../api/language.ts'
import { visible } from '../lib/visible.ts'
import { available, find, written, type Action, type Found } from '../model/actions.ts'
import { actions } from './actions.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { isMac } from './focus.ts'

const key = 'eaves.actions'
const remembered = 8

// As for the width of the list: a browser may refuse its storage.
function recent(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    return Array.isArray(list) ? list.filter((x): x is string => typeof x === 'string') : []
  } catch {
    return []
  }
}

function remember(id: string): void {
  try {
    localStorage.setItem(key, JSON.stringify([id, ...recent().filter((x) => x !== id)].slice(0, remembered)))
  } catch {
    // As above.
  }
}

/** filterAction is the action that applies a saved filter. */
function filterAction(f: SavedFilter): Action {
  return { id: `saved-${f.id}`, label: visible(f.name), group: 'Filter', run: (app) => app.setFilter(f.filter) }
}

/** Palette finds an action by a few of its letters, and starts it. */
export function Palette() {
  const app = useConsole()
  const id = useId()
  const [search, setSearch] = useState('')
  const [at, setAt] = useState(0)
  const box = useRef<HTMLUListElement>(null)
  const used = useMemo(recent, [])
  const saved = app.filters.saved.value
  useEffect(() => { void app.filters.readSaved() }, [])
  const found = useMemo(() => {
    const all = find([...actions, ...saved.map(filterAction)], search, used)
    // What cannot be done now is found, too: behind the rest, with the reason.
    return [...all.filter((f) => available(f.action, app)), ...all.filter((f) => !available(f.action, app))]
  }, [search, saved])
  const close = () => (app.palette.value = false)
  const start = (a: Action | undefined) => {
    if (!a || !available(a, app)) return
    remember(a.id)
    close()
    if (a.pages && !a.pages.includes(app.page.value)) app.page.value = a.pages[0]!
    // The dialog gives the focus back first.
    setTimeout(() => a.run(app, { key: '', target: undefined, onList: false }))
  }
  useEffect(() => { box.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }) }, [at, search])
  const move = (e: KeyboardEvent) => {
    const n = found.length
    if (e.key === 'ArrowDown' && n > 0) setAt((at + 1) % n)
    else if (e.key === 'ArrowUp' && n > 0) setAt((at - 1 + n) % n)
    else if (e.key === 'PageDown') setAt(Math.min(n - 1, at + 8))
    else if (e.key === 'PageUp') setAt(Math.max(0, at - 8))
    else if (e.key === 'Enter' && !e.isComposing) start(found[at]?.action)
    else if (e.key.toLowerCase() === 'k' && (e.ctrlKey || e.metaKey)) close()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  return (
    <Dialog title="Every action" onClose={close} class="palette">
      <input
        type="text" role="combobox" aria-label="Find an action" aria-expanded={found.length > 0} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={found.length > 0 ? `${id}-${at}` : undefined} placeholder="Find an action" autofocus autocomplete="off" autocapitalize="off" spellcheck={false}
        value={search} onInput={(e) => { setSearch(e.currentTarget.value); setAt(0) }} onKeyDown={move}
      />
      <ul role="listbox" id={`${id}-list`} aria-label="Actions" ref={box}>
        {found.map((f, i) => (
          <li key={f.action.id} id={`${id}-${i}`} role="option" aria-selected={i === at} aria-disabled={!available(f.action, app) || undefined}
            onPointerMove={() => { if (i !== at) setAt(i) }} onClick={() => start(f.action)}>
            <Entry found={f} missing={available(f.action, app) ? '' : f.action.needs ?? ''} />
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="empty" role="status">No action has these letters.</p>}
    </Dialog>
  )
}

function Entry({ found, missing }: { found: Found; missing: string }) {
  const { action, hits } = found
  const keys = written(action, isMac())
  return (
    <>
      <span class="group">{action.group}</span>
      <span class="name"><Label text={action.label} hits={hits} />{missing !== '' && <span class="dim"> ({missing})</span>}</span>
      {keys !== '' && <kbd>{keys}</kbd>}
    </>
  )
}

/** Label shows which letters were found. */
function Label({ text, hits }: { text: string; hits: readonly number[] }) {
  if (hits.length === 0) return <>{text}</>
  const parts: { text: string; hit: boolean }[] = []
  for (let i = 0; i < text.length; i++) {
    const hit = hits.includes(i)
    const last = parts[parts.length - 1]
    if (last && last.hit === hit) last.text += text[i]
    else parts.push({ text: text[i]!, hit })
  }
  return <>{parts.map((p, i) => (p.hit ? <b key={i}>{p.text}</b> : p.text))}</>
}
