// The actions that change how the traffic is looked at.

import { fix } from '../lib/fix.ts'
import type { Action } from '../model/actions.ts'
import { columns } from '../model/columns.ts'
import type { Console } from '../model/console.ts'
import { groupings } from '../model/grouping.ts'

const onTraffic = ['traffic'] as const
const sortable = columns.filter((c) => c.sort)

/** toSources puts the focus into the sources once they are drawn. */
function toSources(): void {
  setTimeout(() => document.querySelector<HTMLElement>('.sources [role=treeitem][tabindex="0"]')?.focus(), 60)
}

function group(app: Console, by: (typeof groupings)[number]): void {
  app.page.value = 'traffic'
  app.look.grouping.value = by
  app.look.sources.value = true
  toSources()
}

export const look: readonly Action[] = [
  { id: 'sources', label: 'Show or hide the sources: hosts, clients, connections', group: 'List', keys: ['g'], pages: onTraffic, run: (app) => {
    app.page.value = 'traffic'
    app.look.sources.value = !app.look.sources.value
    if (app.look.sources.value) toSources()
  } },
  ...groupings.map((by): Action => ({ id: `group-${by}`, label: `Group by ${by}`, group: 'List', run: (app) => group(app, by) })),
  { id: 'timeline', label: 'Show or hide the timeline', group: 'List', keys: ['l'], pages: onTraffic, run: (app) => {
    app.page.value = 'traffic'
    app.look.timeline.value = !app.look.timeline.value
  } },
  { id: 'columns', label: 'Columns: which, in which order, how wide', group: 'List', keys: ['v'], pages: onTraffic, run: (app) => {
    app.page.value = 'traffic'
    app.look.choosing.value = true
  } },
  { id: 'totals', label: 'Totals by host, client or connection, as a table', group: 'Go to', keys: ['h'], run: (app) => { app.page.value = app.page.value === 'totals' ? 'traffic' : 'totals' } },
  { id: 'page-load', label: 'The loading of a page, as a waterfall', group: 'Go to', keys: ['w'], run: (app) => { app.page.value = app.page.value === 'load' ? 'traffic' : 'load' } },
  ...sortable.map((c): Action => ({ id: `sort-${c.id}`, label: `Sort by ${c.name.toLowerCase()}, the largest first`, group: 'List', run: (app) => {
    app.page.value = 'traffic'
    app.look.sorting.value = { column: c.id, ascending: false }
  } })),
  { id: 'unsorted', label: 'Sort as they came', group: 'List', when: (app) => app.look.sorting.value !== undefined, needs: 'the list is as they came', run: (app) => { app.look.sorting.value = undefined } },
  {
    id: 'mend', label: 'Do what helps with the failure', group: 'Exchange', keys: ['H'], pages: onTraffic, needs: 'choose an exchange that failed first',
    when: (app) => app.current.value !== undefined && fix(app.current.value) !== undefined, run: (app) => app.mend(),
  },
]

