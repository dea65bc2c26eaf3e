// The table of actions. Every key, every entry of the palette and every line of the help comes from here; a part of the
// console that has many of its own keeps them in a file of its own and is named in the last line.

import type { Action } from '../model/actions.ts'
import type { Console } from '../model/console.ts'
import { sections, tabNames, tabs, type Section } from '../model/location.ts'
import { focusFilter, grid } from './focus.ts'
import { look } from './lookactions.ts'
import { replayActions } from './replayactions.ts'

const chosen = (app: Console) => app.selected.value !== undefined
const needsOne = 'choose an exchange first'
const sendable = (app: Console) => chosen(app) && app.current.value !== undefined && app.current.value.kind !== 'tunnel'
const needsRequest = 'choose an exchange with a request first'
const onTraffic = ['traffic'] as const

const exchange: Action[] = [
  { id: 'replay', label: 'Replay', group: 'Exchange', keys: ['r'], pages: onTraffic, when: sendable, needs: needsRequest, run: (app) => void app.replay() },
  { id: 'replay-as', label: 'Replay as … (certificate, route)', group: 'Exchange', keys: ['R'], pages: onTraffic, when: sendable, needs: needsRequest, run: (app) => app.resend() },
  { id: 'edit', label: 'Edit and resend', group: 'Exchange', keys: ['e'], pages: onTraffic, when: sendable, needs: needsRequest, run: (app) => app.edit() },
  { id: 'mark', label: 'Mark, or take the mark away', group: 'Exchange', keys: ['m'], pages: onTraffic, when: chosen, needs: needsOne, run: (app) => void app.toggleMark() },
  { id: 'copy-curl', label: 'Copy as curl', group: 'Exchange', keys: ['c'], pages: onTraffic, when: chosen, needs: needsOne, run: (app) => void app.copyCurl() },
  { id: 'copy-link', label: 'Copy a link to this view', group: 'Exchange', keys: ['y'], run: (app) => void app.copyLink() },
  { id: 'delete', label: 'Delete', group: 'Exchange', keys: ['x'], pages: onTraffic, when: chosen, needs: needsOne, run: (app) => app.delete() },
  { id: 'compose', label: 'New request', group: 'Exchange', keys: ['n'], pages: onTraffic, run: (app) => app.compose() },
  {
    id: 'open', label: 'Go into the exchange', group: 'Exchange', keys: ['Enter'], pages: onTraffic, onList: true, keyOnly: true,
    run: (app) => {
      if (app.selected.value === undefined) app.step(1)
      setTimeout(() => document.querySelector<HTMLElement>('[role=tab][aria-selected=true]')?.focus(), 30)
    },
  },
  {
    id: 'back', label: 'Back to the list, close', group: 'Exchange', keys: ['Escape'], keyOnly: true,
    run: (app, { onList, target }) => {
      if (app.page.value !== 'traffic') app.page.value = 'traffic'
      else if (!onList && target?.closest('#detail') && window.matchMedia('(min-width: 801px)').matches) grid()?.focus()
      else app.select(undefined)
    },
  },
  {
    id: 'tab-nth', label: 'Tab of the exchange', group: 'Exchange', keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'], written: '1 … 9', pages: onTraffic, keyOnly: true,
    run: (_, { key }) => {
      const tab = document.querySelectorAll<HTMLElement>('[role=tab]')[Number(key) - 1]
      // The focus goes along where a tab had it.
      const held = document.activeElement?.getAttribute('role') === 'tab'
      tab?.click()
      if (held) tab?.focus()
      return tab !== undefined
    },
  },
  {
    id: 'find-body', label: 'Find in the body', group: 'Exchange', keys: ['F'], pages: onTraffic, when: chosen, needs: needsOne,
    run: () => {
      const button = document.querySelector<HTMLElement>('#detail .find-button')
      button?.click()
      return button !== null
    },
  },
  ...tabs.map((t): Action => ({ id: `tab-${t}`, label: `Show ${tabNames[t] ?? t}`, group: 'Exchange', when: chosen, needs: needsOne, run: (app) => {
    app.page.value = 'traffic'
    app.setTab(t)
  } })),
]

/** screen is how many rows the list shows. */
const screen = (app: Console) => Math.max(1, app.feed.shown[1] - app.feed.shown[0] - 1)

const list: Action[] = [
  { id: 'next', label: 'Next exchange', group: 'List', keys: ['j'], written: 'j or ↓', pages: onTraffic, run: (app) => app.step(1) },
  { id: 'previous', label: 'Previous exchange', group: 'List', keys: ['k'], written: 'k or ↑', pages: onTraffic, run: (app) => app.step(-1) },
  { id: 'down', label: 'Next exchange', group: 'List', keys: ['ArrowDown'], written: '', pages: onTraffic, onList: true, keyOnly: true, run: (app) => app.step(1) },
  { id: 'up', label: 'Previous exchange', group: 'List', keys: ['ArrowUp'], written: '', pages: onTraffic, onList: true, keyOnly: true, run: (app) => app.step(-1) },
  {
    id: 'screen', label: 'A screen further, back', group: 'List', keys: ['PageDown', 'PageUp'], written: 'PgDn, PgUp', pages: onTraffic, onList: true, keyOnly: true,
    run: (app, { key }) => app.step(key === 'PageDown' ? screen(app) : -screen(app)),
  },
  { id: 'oldest', label: 'Oldest exchange', group: 'List', keys: ['Home'], pages: onTraffic, onList: true, run: (app) => void app.oldest() },
  { id: 'newest', label: 'Newest exchange', group: 'List', keys: ['End'], pages: onTraffic, onList: true, run: (app) => void app.newest() },
  { id: 'follow', label: 'Follow the newest', group: 'List', keys: ['f'], pages: onTraffic, run: (app) => app.followTail() },
  { id: 'clear', label: 'Delete what is listed …', group: 'List', when: (app) => app.feed.rows.total > 0, needs: 'nothing is listed', run: (app) => void app.clear() },
]

const filter: Action[] = [
  { id: 'filter', label: 'Filter', group: 'Filter', keys: ['/'], run: (app) => {
    app.page.value = 'traffic'
    focusFilter()
  } },
  { id: 'quick', label: 'Filters at hand', group: 'Filter', keys: ['q'], pages: onTraffic, run: (app) => {
    app.page.value = 'traffic'
    app.quick.value = !app.quick.value
  } },
  { id: 'show-all', label: 'Show all: no filter', group: 'Filter', when: (app) => app.typed.value !== '', needs: 'there is no filter', run: (app) => app.setFilter('') },
]

const sectionNames: Record<Section, string> = { certificates: 'client certificates', trust: 'trust', tls: 'TLS policies', routes: 'routes', bypass: 'bypass', retention: 'retention', secrets: 'secrets', inventory: 'all certificates' }

const places: Action[] = [
  { id: 'go-traffic', label: 'Traffic', group: 'Go to', run: (app) => { app.page.value = 'traffic' } },
  { id: 'go-start', label: 'Getting started', group: 'Go to', run: (app) => { app.page.value = 'start' } },
  { id: 'go-rules', label: 'Rules', group: 'Go to', run: (app) => { app.page.value = 'rules' } },
  { id: 'settings', label: 'Settings, and back', group: 'Go to', keys: ['s'], run: (app) => app.toggleSettings() },
  ...sections.map((s): Action => ({ id: `go-${s}`, label: `Settings: ${sectionNames[s]}`, group: 'Go to', run: (app) => app.settings(s) })),
]

const settings: Action[] = [
  {
    id: 'section-nth', label: 'Section of the settings', group: 'Settings', keys: ['1', '2', '3', '4', '5', '6', '7', '8'], written: '1 … 8', pages: ['settings'], keyOnly: true,
    run: (_, { key }) => document.querySelectorAll<HTMLElement>('.sections a')[Number(key) - 1]?.click(),
  },
  {
    id: 'add', label: 'Add an entry', group: 'Settings', keys: ['a'], pages: ['settings'], needs: 'open a part of the settings first',
    when: (app) => app.page.value === 'settings' && !['inventory', 'retention'].includes(app.section.value),
    run: (app) => {
      // Some parts are added to where they are, the others in a form of their own.
      const here = document.querySelector<HTMLElement>('.section [data-add]')
      if (here) here.focus()
      else app.settings(app.section.value, {})
    },
  },
  // The list of routes takes these itself.
  { id: 'move-route', label: 'Move a route', group: 'Settings', written: 'Alt+↑, Alt+↓', keyOnly: true, run: () => false },
]

const general: Action[] = [
  { id: 'palette', label: 'Every action', group: 'Console', keys: ['Mod+k'], keyOnly: true, run: (app) => { app.palette.value = true } },
  { id: 'help', label: 'Help: keys and filters', group: 'Console', keys: ['?'], run: (app) => { app.help.value = true } },
  {
    id: 'try', label: 'Test an address, hop by hop', group: 'Console', keys: ['t'],
    run: (app) => {
      const x = app.page.value === 'traffic' ? app.current.value : undefined
      app.try({ url: x && /^https?:/.test(x.request.url) ? x.request.url : '' })
    },
  },
  { id: 'record', label: 'Recording on or off', group: 'Console', run: (app) => void app.toggleRecording() },
]

export const actions: readonly Action[] = [...exchange, ...replayActions, ...list, ...look, ...filter, ...places, ...settings, ...general]
