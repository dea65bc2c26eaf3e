import type { Exchange } from '../api/types.ts'
import { duration, moment, plural } from '../lib/format.ts'
import { elapsed, phases } from '../lib/story.ts'
import { useConsole } from './context.ts'
import { useTick } from './Overview.tsx'

/** Timing shows the phases one after the other, on one scale. */
export function Timing({ x }: { x: Exchange }) {
  const app = useConsole()
  const now = useTick(x.state === 'open')
  const total = elapsed(x, now)
  const all = phases(x)
  const sum = Math.max(all.reduce((a, p) => a + p.ms, 0), total, 0.001)
  let at = 0
  const percent = (n: number) => `${Math.round((n / sum) * 10000) / 100}%`
  return (
    <div class="timing">
      <p class="dim">Started {moment(x.startedDateTime)}{x.reused ? ', on a connection used before: no lookup, no handshake' : ''}.</p>
      <table class="phases">
        <caption class="offscreen">Phases of the exchange</caption>
        <thead class="offscreen"><tr><th scope="col">Phase</th><th scope="col">Bar</th><th scope="col">Time</th></tr></thead>
        <tbody>
          {all.map((p) => {
            const left = at
            at += p.ms
            return (
              <tr key={p.key}>
                <th scope="row">{p.name}</th>
                <td class="bar"><span class="fall"><i class={`p-${p.key}`} style={{ left: percent(left), width: percent(p.ms) }} /></span></td>
                <td class="ms">{duration(p.ms)}</td>
              </tr>
            )
          })}
          <tr class="total"><th scope="row">{x.state === 'open' ? 'So far' : 'In all'}</th><td /><td class="ms">{duration(total)}</td></tr>
        </tbody>
      </table>
      {all.length === 0 && <p class="empty">No phase of this exchange was timed.</p>}
      {x.route?.hops && x.route.hops.length > 1 && (
        <p class="dim">Through {plural(x.route.hops.length - 1, 'proxy', 'proxies')}: <button type="button" class="link" onClick={() => app.setTab('route')}>Route</button> has the time of each.</p>
      )}
    </div>
  )
}
