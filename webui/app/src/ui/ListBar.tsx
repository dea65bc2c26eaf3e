// What stands over the list: how to look at it.

import { column } from '../model/columns.ts'
import { useConsole } from './context.ts'
import { Close, Columns, Pulse, Tree } from './icons.tsx'

export function ListBar() {
  const app = useConsole()
  const { sources, timeline, sorting, choosing } = app.look
  const s = sorting.value
  return (
    <div class="list-bar" role="toolbar" aria-label="How to look at the list">
      <button type="button" class="bar-button" aria-pressed={sources.value} title="Hosts, clients or connections beside the list (g)" onClick={() => (sources.value = !sources.value)}><Tree /> Sources</button>
      <button type="button" class="bar-button" aria-pressed={timeline.value} title="Requests over time (l)" onClick={() => (timeline.value = !timeline.value)}><Pulse /> Timeline</button>
      <span class="grow" />
      {s && (
        <button type="button" class="bar-button sorted" title="Back to the order in which they came" onClick={() => (sorting.value = undefined)}>
          By {column(s.column).name.toLowerCase()} {s.ascending ? '↑' : '↓'}<span class="offscreen"> {s.ascending ? 'smallest first' : 'largest first'}, press for the order in which they came</span> <Close />
        </button>
      )}
      <button type="button" class="bar-button" aria-haspopup="dialog" title="Columns: which, in which order, how wide (v)" onClick={() => (choosing.value = true)}><Columns /> Columns</button>
    </div>
  )
}
