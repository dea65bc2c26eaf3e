// The keyboard: finds the action of a key in the table of actions and starts it.

import { available, nameOf, taking } from '../model/actions.ts'
import type { Console } from '../model/console.ts'
import { actions } from './actions.ts'

const typing = 'input, textarea, select, [contenteditable]:not([contenteditable=false]), [role=textbox]'
const boxes = ['checkbox', 'radio', 'button']

export function listenToKeys(app: Console): void {
  document.addEventListener('keydown', (e) => {
    if (e.defaultPrevented || e.isComposing || document.querySelector('dialog[open]')) return
    const target = e.target instanceof HTMLElement ? e.target : document.body
    const name = nameOf(e)
    // Esc leaves a field with what is written in it. The filter and the find box make their own use of it.
    if (name === 'Escape' && app.page.value !== 'traffic' && types(target)) {
      target.blur()
      e.preventDefault()
      return
    }
    // A key that types a letter is nobody else's while somebody types.
    if (name === '' || (!name.startsWith('Mod+') && types(target))) return
    if (press(app, name, target)) e.preventDefault()
  })
}

function types(target: HTMLElement): boolean {
  return target.closest(typing) !== null && !(target instanceof HTMLInputElement && boxes.includes(target.type))
}

function press(app: Console, name: string, target: HTMLElement): boolean {
  const onList = target === document.body || target.id === 'exchanges'
  for (const a of taking(actions, name, app.page.value, onList)) {
    // What cannot be done now takes its key all the same: nothing else shall happen.
    if (!available(a, app)) return true
    if (a.run(app, { key: name, target, onList }) !== false) return true
  }
  return false
}
