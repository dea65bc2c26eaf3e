// The keyboard. Every key is listed here once, for the listener and for the help.

import type { Console } from '../model/console.ts'

export interface Key {
  keys: string[]
  label: string
  does: string
}

export const keyHelp: Key[] = [
  { keys: ['j', '↓'], label: 'j or ↓', does: 'next exchange' },
  { keys: ['k', '↑'], label: 'k or ↑', does: 'previous exchange' },
  { keys: ['PageDown', 'PageUp'], label: 'PgDn, PgUp', does: 'a screen further, back' },
  { keys: ['Home', 'End'], label: 'Home, End', does: 'oldest, newest' },
  { keys: ['Enter'], label: 'Enter', does: 'go into the exchange' },
  { keys: ['Esc'], label: 'Esc', does: 'back to the list, close' },
  { keys: ['/'], label: '/', does: 'filter' },
  { keys: ['r'], label: 'r', does: 'replay' },
  { keys: ['R'], label: 'R', does: 'replay as … (certificate, route)' },
  { keys: ['e'], label: 'e', does: 'edit and resend' },
  { keys: ['n'], label: 'n', does: 'new request' },
  { keys: ['c'], label: 'c', does: 'copy as curl' },
  { keys: ['m'], label: 'm', does: 'mark' },
  { keys: ['x'], label: 'x', does: 'delete' },
  { keys: ['f'], label: 'f', does: 'follow the newest' },
  { keys: ['q'], label: 'q', does: 'filters at hand' },
  { keys: ['1'], label: '1 … 7', does: 'tab of the exchange' },
  { keys: ['s'], label: 's', does: 'settings, and back' },
  { keys: ['1'], label: '1 … 5', does: 'in the settings: section' },
  { keys: ['a'], label: 'a', does: 'in the settings: add' },
  { keys: ['t'], label: 't', does: 'test an address, hop by hop' },
  { keys: ['Alt'], label: 'Alt+↑, Alt+↓', does: 'in the settings: move a route' },
  { keys: ['?'], label: '?', does: 'this help' },
]

const typing = 'input, textarea, select, [contenteditable]'

export function listenToKeys(app: Console): void {
  document.addEventListener('keydown', (e) => {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return
    const target = e.target instanceof HTMLElement ? e.target : document.body
    if (target.matches(typing) && !(target instanceof HTMLInputElement && target.type === 'checkbox')) return
    if (press(app, e, target)) e.preventDefault()
  })
}

export function grid(): HTMLElement | null {
  return document.getElementById('exchanges')
}

function press(app: Console, e: KeyboardEvent, target: HTMLElement): boolean {
  const onList = target === document.body || target.id === 'exchanges'
  const screen = Math.max(1, app.feed.shown[1] - app.feed.shown[0] - 1)
  if (e.key === '?') {
    app.help.value = true
    return true
  }
  if (e.key === '/') {
    app.page.value = 'traffic'
    setTimeout(() => document.querySelector<HTMLInputElement>('#filter')?.select())
    return true
  }
  if (e.key === 's') {
    app.toggleSettings()
    return true
  }
  if (e.key === 't') {
    const x = app.page.value === 'traffic' ? app.current.value : undefined
    app.try({ url: x && /^https?:/.test(x.request.url) ? x.request.url : 'https://' })
    return true
  }
  if (app.page.value === 'settings') {
    if (e.key === 'Escape') app.page.value = 'traffic'
    else if (e.key === 'a' && app.section.value !== 'inventory') app.settings(app.section.value, {})
    else if (/^[1-5]$/.test(e.key)) document.querySelectorAll<HTMLElement>('.sections a')[Number(e.key) - 1]?.click()
    else return false
    return true
  }
  if (app.page.value === 'rules') {
    if (e.key !== 'Escape') return false
    app.page.value = 'traffic'
    return true
  }
  switch (e.key) {
    case 'j': app.step(1); return true
    case 'k': app.step(-1); return true
    case 'r': void app.replay(); return true
    case 'R': app.resend(); return true
    case 'q': app.quick.value = !app.quick.value; return true
    case 'e': app.edit(); return true
    case 'n': app.compose(); return true
    case 'c': void app.copyCurl(); return true
    case 'm': void app.toggleMark(); return true
    case 'x': app.delete(); return true
    case 'f': app.followTail(); return true
    case 'Escape':
      if (!onList && window.matchMedia('(min-width: 801px)').matches && target.closest('#detail')) grid()?.focus()
      else app.select(undefined)
      return true
  }
  if (/^[1-7]$/.test(e.key)) {
    const tab = document.querySelectorAll<HTMLElement>('[role=tab]')[Number(e.key) - 1]
    tab?.click()
    return tab !== undefined
  }
  if (!onList) return false
  switch (e.key) {
    case 'ArrowDown': app.step(1); return true
    case 'ArrowUp': app.step(-1); return true
    case 'PageDown': app.step(screen); return true
    case 'PageUp': app.step(-screen); return true
    case 'Home': void app.oldest(); return true
    case 'End': void app.newest(); return true
    case 'Enter':
      if (app.selected.value === undefined) app.step(1)
      setTimeout(() => document.querySelector<HTMLElement>('[role=tab][aria-selected=true]')?.focus(), 30)
      return true
  }
  return false
}
