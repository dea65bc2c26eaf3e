// Actions: what keys, the palette and the help have in common. The table of them is ui/actions.ts.

import type { Console } from './console.ts'
import type { View } from './location.ts'

export type Group = 'Exchange' | 'List' | 'Filter' | 'Go to' | 'Settings' | 'Console'
export const groups: readonly Group[] = ['Exchange', 'List', 'Filter', 'Go to', 'Settings', 'Console']

/** How an action was started: by which key, and where the focus was; from the palette, by none and nowhere. */
export interface Press {
  key: string
  target: HTMLElement | undefined
  /** Whether the focus is on the list or nowhere. */
  onList: boolean
}

export interface Action {
  /** Kept among the recent ones: it must not change. */
  id: string
  /** What it does, as a command. */
  label: string
  group: Group
  /** KeyboardEvent.key, with Mod+ before it where Control (Command on a Mac) is held. */
  keys?: readonly string[]
  /** How the help writes the keys, where their names do not do. */
  written?: string
  /** The pages that its keys work on; left out, on all. */
  pages?: readonly View['page'][]
  /** Its keys are taken only while the focus is on the list. */
  onList?: boolean
  /** It makes sense by its key only: no entry of the palette. */
  keyOnly?: boolean
  /** Whether there is anything to do it to, now. */
  when?: (app: Console) => boolean
  /** What has to be there first, for who finds it missing. */
  needs?: string
  /** False: nothing was done, and the key is not taken. */
  run: (app: Console, press: Press) => void | boolean
}

/** What of a keyboard event decides. */
export interface Stroke {
  key: string
  ctrlKey: boolean
  metaKey: boolean
  altKey: boolean
}

/** nameOf writes a stroke as the table does; "" for one that is no shortcut here. */
export function nameOf(s: Stroke): string {
  if (s.altKey) return ''
  return s.ctrlKey || s.metaKey ? `Mod+${s.key.toLowerCase()}` : s.key
}

/** available says whether an action can be done now, by whatever means. */
export function available(a: Action, app: Console): boolean {
  return !a.when || a.when(app)
}

/** taking lists the actions that a stroke may start on a page, in the table's order. */
export function taking(actions: readonly Action[], name: string, page: View['page'], onList: boolean): Action[] {
  return actions.filter((a) => a.keys?.includes(name) && (!a.pages || a.pages.includes(page)) && (!a.onList || onList))
}

const keyNames: Record<string, string> = { ArrowDown: '↓', ArrowUp: '↑', ArrowLeft: '←', ArrowRight: '→', PageDown: 'PgDn', PageUp: 'PgUp', Escape: 'Esc', ' ': 'Space' }

/** written says an action's keys as people read them: ["Ctrl", "K"] would be two, so it is "Ctrl+K". */
export function written(a: Action, mac = false): string {
  if (a.written !== undefined) return a.written
  return (a.keys ?? []).map((k) => {
    if (!k.startsWith('Mod+')) return keyNames[k] ?? k
    return `${mac ? '⌘' : 'Ctrl+'}${k.slice(4).toUpperCase()}`
  }).join(' or ')
}

export interface Found {
  action: Action
  /** Which letters of the label were asked for. */
  hits: readonly number[]
}

/** find sorts the actions that a search is a subsequence of: the recent first when nothing is searched, else the best match. */
export function find(actions: readonly Action[], search: string, recent: readonly string[]): Found[] {
  const wanted = search.trim().toLowerCase()
  const scored: (Found & { score: number; at: number })[] = []
  actions.forEach((action, at) => {
    if (action.keyOnly) return
    const used = recent.indexOf(action.id)
    const fresh = used < 0 ? 0 : recent.length - used
    if (wanted === '') {
      scored.push({ action, hits: [], score: fresh, at })
      return
    }
    const inLabel = match(action.label, wanted)
    const inGroup = inLabel ? undefined : match(`${action.group} ${action.label}`, wanted)
    if (inLabel) scored.push({ action, hits: inLabel.hits, score: inLabel.score + fresh / 10, at })
    else if (inGroup) {
      const skipped = action.group.length + 1
      scored.push({ action, hits: inGroup.hits.filter((i) => i >= skipped).map((i) => i - skipped), score: inGroup.score - 5, at })
    }
  })
  return scored.sort((a, b) => b.score - a.score || a.at - b.at).map(({ action, hits }) => ({ action, hits }))
}

/** match finds each word of a search in a text by its letters, in order: whole stretches and beginnings of words count more. */
export function match(text: string, search: string): { score: number; hits: number[] } | undefined {
  const hits = new Set<number>()
  let score = -text.length / 100
  for (const word of search.split(/\s+/)) {
    const one = matchWord(text.toLowerCase(), word)
    if (!one) return undefined
    for (const at of one.hits) hits.add(at)
    score += one.score
  }
  return { score, hits: [...hits].sort((a, b) => a - b) }
}

const begins = (text: string, at: number) => at === 0 || /[\s(:]/.test(text[at - 1]!)

function matchWord(text: string, word: string): { score: number; hits: number[] } | undefined {
  let whole = text.indexOf(word)
  for (let at = whole; at >= 0; at = text.indexOf(word, at + 1)) {
    if (!begins(text, at)) continue
    whole = at
    break
  }
  if (whole >= 0) return { score: 100 + (begins(text, whole) ? 50 : 0) - whole, hits: Array.from(word, (_, i) => whole + i) }
  const hits: number[] = []
  let score = 0
  for (const letter of word) {
    const from = (hits[hits.length - 1] ?? -1) + 1
    const next = text.indexOf(letter, from)
    if (next < 0) return undefined
    // The beginning of a word first: "cac" is Copy As Curl.
    let at = next
    if (next !== from) for (let i = next; i >= 0; i = text.indexOf(letter, i + 1)) if (begins(text, i)) { at = i; break }
    if (begins(text, at)) score += 6
    else score += at === from ? 4 : -1
    hits.push(at)
  }
  return { score, hits }
}
