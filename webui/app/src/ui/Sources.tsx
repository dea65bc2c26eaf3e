// The sources beside the list: hosts with their paths, clients, or connections, each with what its exchanges come to. Choosing
// one narrows the list to it; the filter box says so, and takes it back.

import { useEffect, useRef, useState } from 'preact/hooks'
import * as api from '../api/totals.ts'
import { clock, count, size } from '../lib/format.ts'
import { visible } from '../lib/visible.ts'
import { chosen, narrowed, widened } from '../model/groups.ts'
import { groupings, type Grouping } from '../model/grouping.ts'
import { useConsole } from './context.ts'
import { Chevron, Close, Sign } from './icons.tsx'
import { usePolled } from './polled.ts'

const most = 300
const mostPaths = 100

export const groupingNames: Record<Grouping, string> = { host: 'Hosts', client: 'Clients', connection: 'Connections' }
const nameless: Record<string, string> = { host: 'no host', client: 'not a client’s', connection: 'no connection', path: 'no path' }

/** groupName is a group's name as people read it. */
export function groupName(name: string, by: string): string {
  if (name === '') return `(${nameless[by]})`
  return by === 'connection' ? `#${visible(name)}` : visible(name)
}

interface Item {
  group: api.Group
  level: 1 | 2
  /** The filters that choose it. */
  terms: string[]
}

export function Sources() {
  const app = useConsole()
  const by = app.look.grouping.value
  const filter = app.feed.filter.value
  const base = widened(filter, by)
  const on = chosen(filter, by)
  const sort = by === 'connection' ? 'last' : 'count'
  const answer = usePolled((signal) => api.groups({ by, filter: base, limit: most, sort }, signal), `${by} ${base}`)
  const [open, setOpen] = useState<api.Group | undefined>(undefined)
  const [focused, setFocused] = useState('')
  const tree = useRef<HTMLDivElement>(null)
  useEffect(() => { setOpen(undefined) }, [by])
  // Groups of before stand until there are those of another filter, but not of another kind.
  const same = answer.key.startsWith(`${by} `)
  const groups = same ? answer.value?.groups ?? [] : []
  const [paths, setPaths] = useState<api.Group[]>([])

  const items: Item[] = []
  for (const g of groups) {
    items.push({ group: g, level: 1, terms: [g.filter] })
    if (open?.filter === g.filter) for (const p of paths) items.push({ group: p, level: 2, terms: [g.filter, p.filter] })
  }
  const key = (i: Item) => i.terms.join(' ')
  const current = items.some((i) => key(i) === focused) ? focused : items.find((i) => isChosen(i)) ? key(items.find((i) => isChosen(i))!) : items[0] ? key(items[0]) : ''

  function isChosen(i: Item): boolean { return on.length === i.terms.length && i.terms.every((t) => on.includes(t)) }

  const choose = (i: Item) => {
    setFocused(key(i))
    app.setFilter(isChosen(i) ? base : narrowed(filter, by, ...i.terms))
  }
  const focus = (i: Item | undefined) => {
    if (!i) return
    setFocused(key(i))
    setTimeout(() => tree.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus())
  }
  const onKey = (e: KeyboardEvent) => {
    const at = items.findIndex((i) => key(i) === current)
    const i = items[at]
    if (!i || e.ctrlKey || e.metaKey || e.altKey) return
    if (e.key === 'ArrowDown') focus(items[Math.min(at + 1, items.length - 1)])
    else if (e.key === 'ArrowUp') focus(items[Math.max(at - 1, 0)])
    else if (e.key === 'Home') focus(items[0])
    else if (e.key === 'End') focus(items[items.length - 1])
    else if (e.key === 'ArrowRight' && by === 'host' && i.level === 1) setOpen(i.group)
    else if (e.key === 'ArrowLeft') {
      if (i.level === 2) focus(items.find((x) => x.group === open || x.terms.join() === i.terms[0]))
      setOpen(undefined)
    } else if (e.key === 'Enter' || e.key === ' ') choose(i)
    else return
    e.preventDefault()
    e.stopPropagation()
  }

  return (
    <aside class="sources" aria-label="Sources">
      <div class="sources-head">
        <select aria-label="Group by" value={by} onChange={(e) => (app.look.grouping.value = e.currentTarget.value as Grouping)}>
          {groupings.map((g) => <option key={g} value={g}>{groupingNames[g]}</option>)}
        </select>
        <span class="grow" />
        <button type="button" class="bar-button" title="All totals as a table (h)" onClick={() => (app.page.value = 'totals')}>Table</button>
        <button type="button" class="tool small" aria-label="Hide the sources" title="Hide (g)" onClick={() => (app.look.sources.value = false)}><Close /></button>
      </div>
      {on.length > 0 && <button type="button" class="bar-button all" onClick={() => app.setFilter(base)}>Show all {groupingNames[by].toLowerCase()}</button>}
      <div class="tree" role="tree" aria-label={groupingNames[by]} ref={tree} onKeyDown={onKey}>
        {items.map((i) => (
          <Source key={key(i)} item={i} by={i.level === 2 ? 'path' : by} selected={isChosen(i)} tab={key(i) === current}
            open={by === 'host' && i.level === 1 ? open?.filter === i.group.filter : undefined}
            onOpen={() => setOpen(open?.filter === i.group.filter ? undefined : i.group)} onChoose={() => choose(i)} />
        ))}
      </div>
      {open && <Paths key={`${open.filter} ${base}`} of={open} base={base} by={by} onPaths={setPaths} />}
      {answer.problem && <p class="note" role="alert">{visible(answer.problem)}</p>}
      {same && answer.value && <Note value={answer.value} shown={groups.length} by={by} />}
    </aside>
  )
}

/** Paths keeps the first segments of a host's paths current. It draws nothing itself: they stand in the tree. */
function Paths({ of, base, by, onPaths }: { of: api.Group; base: string; by: Grouping; onPaths: (paths: api.Group[]) => void }) {
  const filter = narrowed(base, by, of.filter)
  const answer = usePolled((signal) => api.groups({ by: 'path', filter, limit: mostPaths }, signal), filter)
  useEffect(() => { onPaths(answer.value?.groups ?? []) }, [answer.value])
  useEffect(() => () => onPaths([]), [])
  return null
}

function Note({ value, shown, by }: { value: api.Groups; shown: number; by: Grouping }) {
  const parts: string[] = []
  if (shown < value.total) parts.push(`the ${by === 'connection' ? 'latest' : 'largest'} ${count(shown)} of ${count(value.total)}`)
  if (value.covered < 1) parts.push(`so far of the newest ${Math.floor(value.covered * 100)} %`)
  return parts.length > 0 ? <p class="note">{parts.join(', ')}</p> : null
}

function Source({ item, by, selected, tab, open, onOpen, onChoose }: { item: Item; by: string; selected: boolean; tab: boolean; open: boolean | undefined; onOpen: () => void; onChoose: () => void }) {
  const g = item.group
  const name = groupName(g.name, by)
  return (
    <div role="treeitem" aria-level={item.level} aria-selected={selected} aria-expanded={open} tabIndex={tab ? 0 : -1} class={`source level-${item.level}${selected ? ' selected' : ''}`} onClick={onChoose}>
      <span class="twist" aria-hidden="true" onClick={(e) => { if (open === undefined) return; e.stopPropagation(); onOpen() }}>{open !== undefined && <Chevron open={open} />}</span>
      <span class="name" title={name}>{name}</span>{' '}
      <span class="number">{count(g.count)}<span class="offscreen"> {g.count === 1 ? 'exchange' : 'exchanges'}</span></span>{' '}
      <span class="more">{size(g.bytes)} · {clock(g.last).slice(0, 8)}</span>{' '}
      <span class="trouble">
        {g.failed > 0 && <span class="status failed" title={`${count(g.failed)} failed`}><Sign of="failed" />{count(g.failed)}<span class="offscreen"> failed</span></span>}{' '}
        {g.refused > 0 && <span class="status client" title={`${count(g.refused)} answered with a status from 400`}><Sign of="client" />{count(g.refused)}<span class="offscreen"> {g.refused === 1 ? 'error' : 'errors'} answered</span></span>}
      </span>
    </div>
  )
}
