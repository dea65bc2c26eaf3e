// What exchanges come to by host, client or connection, as a table in any order.

import { useState } from 'preact/hooks'
import * as api from '../api/totals.ts'
import { count, duration, moment, plural, size } from '../lib/format.ts'
import { visible } from '../lib/visible.ts'
import { narrowed, widened } from '../model/groups.ts'
import { groupings } from '../model/grouping.ts'
import { useConsole } from './context.ts'
import { Back, Sign } from './icons.tsx'
import { usePolled } from './polled.ts'
import { groupingNames, groupName } from './Sources.tsx'

const most = 500

const heads: { sort: api.GroupSort; name: string; number?: boolean }[] = [
  { sort: 'name', name: 'Name' }, { sort: 'count', name: 'Exchanges', number: true }, { sort: 'failed', name: 'Failed', number: true },
  { sort: 'refused', name: 'Errors answered', number: true }, { sort: 'bytes', name: 'Bytes', number: true }, { sort: 'mean', name: 'Mean time', number: true },
  { sort: 'time', name: 'Time in all', number: true }, { sort: 'first', name: 'First', number: true }, { sort: 'last', name: 'Last', number: true },
]

export function Totals() {
  const app = useConsole()
  const by = app.look.grouping.value
  const [sort, setSort] = useState<{ by: api.GroupSort; reverse: boolean }>({ by: 'count', reverse: false })
  const filter = widened(app.feed.filter.value, by)
  const key = `${by} ${sort.by} ${sort.reverse} ${filter}`
  const { value, problem } = usePolled((signal) => api.groups({ by, filter, limit: most, sort: sort.by, reverse: sort.reverse }, signal), key)
  const most1 = Math.max(...(value?.groups ?? []).map((g) => g.count), 1)
  const descending = (s: api.GroupSort) => (s === 'name') === sort.reverse
  return (
    <main class="page">
      <div class="totals">
        <div class="page-title">
          <button type="button" class="tool" aria-label="Back to the traffic" title="Back (Esc)" onClick={() => (app.page.value = 'traffic')}><Back /></button>
          <h1>Totals</h1>
          <div class="switch" role="group" aria-label="Group by">
            {groupings.map((g) => <button key={g} type="button" aria-pressed={g === by} onClick={() => (app.look.grouping.value = g)}>{groupingNames[g]}</button>)}
          </div>
        </div>
        <p class="dim" role="status">
          {value ? <>{plural(value.total, by)}, {plural(value.all.count, 'exchange')}{filter ? <> that match <code>{visible(filter)}</code></> : null}, {size(value.all.bytes)}
            {value.total > value.groups.length && <>; the first {count(value.groups.length)} are shown</>}
            {value.covered < 1 && <>; so far of the newest {Math.floor(value.covered * 100)} %</>}.</> : 'Adding up …'}
        </p>
        {problem && <p class="failure" role="alert">{visible(problem)}</p>}
        <div class="wide-table" tabIndex={0} role="region" aria-label={groupingNames[by]}>
          <table class="entries">
            <thead>
              <tr>
                {heads.map((h) => (
                  <th key={h.sort} scope="col" class={h.number ? 'number' : ''} aria-sort={sort.by === h.sort ? (descending(h.sort) ? 'descending' : 'ascending') : undefined}>
                    <button type="button" class="sort" onClick={() => setSort({ by: h.sort, reverse: sort.by === h.sort && !sort.reverse })}>
                      {h.name}{sort.by === h.sort && <span aria-hidden="true">{descending(h.sort) ? ' ↓' : ' ↑'}</span>}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value?.groups.map((g) => (
                <tr key={g.name}>
                  <th scope="row"><button type="button" class="link" title="Show these in the list" onClick={() => app.setFilter(narrowed(app.feed.filter.value, by, g.filter))}>{groupName(g.name, by)}</button></th>
                  <td class="number" data-name="Exchanges"><span class="share" aria-hidden="true" style={{ width: `${(g.count / most1) * 100}%` }} />{count(g.count)}</td>
                  <td class="number" data-name="Failed">{g.failed > 0 ? <span class="status failed"><Sign of="failed" /> {count(g.failed)}</span> : '–'}</td>
                  <td class="number" data-name="Errors answered">{g.refused > 0 ? <span class="status client"><Sign of="client" /> {count(g.refused)}</span> : '–'}</td>
                  <td class="number" data-name="Bytes">{size(g.bytes)}</td>
                  <td class="number" data-name="Mean time">{duration(g.time / Math.max(g.count, 1))}</td>
                  <td class="number" data-name="Time in all">{duration(g.time)}</td>
                  <td class="number" data-name="First">{moment(g.first).slice(0, 19)}</td>
                  <td class="number" data-name="Last">{moment(g.last).slice(0, 19)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
    </main>
  )
}
