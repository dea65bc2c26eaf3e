// What is being sent several times: how far it is, how it comes out, and a way to stop it.

import { count, plural } from '../lib/format.ts'
import { visible } from '../lib/visible.ts'
import type { Batch } from '../model/batch.ts'
import { useConsole } from './context.ts'
import { Close } from './icons.tsx'

export function Batches() {
  const app = useConsole()
  if (app.batches.value.length === 0) return null
  return <section class="batches" aria-label="Requests that are sent several times">{app.batches.value.map((b, i) => <One key={i} b={b} />)}</section>
}

function One({ b }: { b: Batch }) {
  const app = useConsole()
  const p = b.progress.value
  const going = !p.ended && !b.cancelled
  const show = () => app.setFilter(b.of !== undefined ? `replay.of:${b.of} id:${p.first}..${p.last}` : `id:${p.first}..${p.last}`)
  return (
    <div class="batch">
      <span class="wrap"><strong>{visible(b.title)}</strong> {p.ended || b.cancelled ? `${count(p.done)} of ${plural(b.plan.times, 'time')}${b.cancelled && p.done < b.plan.times ? ', stopped' : ''}` : `${count(p.done)} of ${count(b.plan.times)}`}</span>
      <progress max={b.plan.times} value={p.done} aria-label={`${b.title}: answered`} />
      <span class="tally">{[...p.outcomes].sort().map(([status, n]) => <span key={status} class={status === 'failed' || status >= '500' ? 'bad-text' : ''}>{count(n)} × {status}</span>)}</span>
      {p.problem !== '' && <span class="bad-text wrap" role="alert">{visible(p.problem)}</span>}
      {p.first !== undefined && <button type="button" class="link" onClick={show}>Show them</button>}
      {going ? <button type="button" class="link" onClick={() => b.cancel()}>Stop</button> : <button type="button" class="tool small" aria-label="Dismiss" onClick={() => app.dropBatch(b)}><Close /></button>}
      <span class="offscreen" role="status">{p.ended ? `${b.title}: all answered` : ''}</span>
    </div>
  )
}
