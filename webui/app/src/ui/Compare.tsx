// Two exchanges side by side: only what differs, by parts, with noise set aside.

import { useEffect, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import { compare, type Comparison, type Difference } from '../api/sending.ts'
import type { Summary } from '../api/types.ts'
import { common } from '../lib/attempts.ts'
import { duration, plural } from '../lib/format.ts'
import { outcome, statusText } from '../lib/story.ts'
import { parts } from '../lib/url.ts'
import { clip, visible } from '../lib/visible.ts'
import { message, type Pair } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { outcomeName, Sign } from './icons.tsx'
import { Text } from './Text.tsx'

const masks: { name: string; label: string; hides: string }[] = [
  { name: 'dates', label: 'dates and times', hides: 'Dates, times of day, and seconds or milliseconds since 1970' },
  { name: 'ids', label: 'ids', hides: 'UUIDs, ULIDs, hexadecimal ids, trace ids, and whole numbers of five digits and more' },
  { name: 'tokens', label: 'random tokens', hides: 'JSON Web Tokens, and words of sixteen characters and more that mix letters and digits' },
  { name: 'numbers', label: 'all numbers', hides: 'Every number' },
]
const partNames: Record<string, string> = {
  request: 'Request', 'request body': 'Body of the request', response: 'Response', 'response body': 'Body of the response', tls: 'TLS', route: 'Route', timings: 'Timing',
}
/** Differences that are drawn at once. */
const batch = 300

export function Compare({ pair }: { pair: Pair }) {
  const app = useConsole()
  const [on, setOn] = useState<readonly string[]>(['dates', 'ids', 'tokens'])
  const [all, setAll] = useState(false)
  const [shown, setShown] = useState(batch)
  const [sides, setSides] = useState<{ a: Summary; b: Summary } | undefined>(undefined)
  const [found, setFound] = useState<Comparison | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const [other, setOther] = useState(String(pair.b))
  useEffect(() => {
    const abort = new AbortController()
    setProblem('')
    setOther(String(pair.b))
    Promise.all([api.exchange(pair.a, abort.signal), api.exchange(pair.b, abort.signal)]).then(([a, b]) => setSides({ a, b }), (e) => { if (!abort.signal.aborted) setProblem(message(e)) })
    compare(pair.a, pair.b, on, abort.signal).then(setFound, (e) => { if (!abort.signal.aborted) setProblem(message(e)) })
    return () => abort.abort()
  }, [pair.a, pair.b, on])
  const close = () => (app.comparing.value = undefined)
  const go = (id: number) => {
    close()
    app.matrix.value = undefined
    app.page.value = 'traffic'
    app.select(id)
  }
  const real = (d: Difference) => !d.incidental && !d.masked?.length
  const differences = found?.differences.filter((d) => all || real(d)) ?? []
  const hidden = (found?.differences.length ?? 0) - (found?.differences.filter(real).length ?? 0)
  const toggle = (name: string) => setOn(on.includes(name) ? on.filter((n) => n !== name) : masks.map((m) => m.name).filter((n) => n === name || on.includes(n)))
  return (
    <Dialog title={`#${pair.a} and #${pair.b} side by side`} onClose={close} class="compare">
      <div class="compare-tools" role="group" aria-label="What makes no difference">
        <span class="dim">No difference make</span>
        {masks.map((m) => <label key={m.name} class="check" title={m.hides}><input type="checkbox" checked={on.includes(m.name)} onChange={() => toggle(m.name)} /> {m.label}</label>)}
        <span class="grow" />
        <label class="check"><input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} /> show those, too{hidden > 0 ? ` (${hidden})` : ''}</label>
      </div>
      <div class="compare-body" tabIndex={0} role="region" aria-label="Differences">
        {pair.why && <p class="dim">{pair.why}</p>}
        {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
        {found?.notes.map((n, i) => <p key={i} class="note">{visible(n)}.</p>)}
        <p class="compare-verdict" role="status">
          {!found ? 'Comparing …' : found.same ? <strong>Nothing that counts differs.</strong> : <strong>{plural(found.differences.filter(real).length + found.more, 'difference')}</strong>}
          {found && hidden > 0 && !all && <span class="dim"> {plural(hidden, 'place')} with noise or times {hidden === 1 ? 'is' : 'are'} set aside.</span>}
        </p>
        <table class="compare-table">
          <caption class="offscreen">Differences between exchange {pair.a} and exchange {pair.b}</caption>
          <thead>
            <tr>
              <th scope="col">Where</th>
              <th scope="col">{sides ? <Side x={sides.a} onGo={go} /> : `#${pair.a}`}</th>
              <th scope="col">{sides ? <Side x={sides.b} onGo={go} /> : `#${pair.b}`}</th>
            </tr>
          </thead>
          {groups(differences.slice(0, shown)).map(([part, list]) => (
            <tbody key={part}>
              <tr class="compare-part"><th colSpan={3} scope="rowgroup">{partNames[part] ?? part}</th></tr>
              {list.map((d, i) => <Row key={i} d={d} />)}
            </tbody>
          ))}
        </table>
        {differences.length > shown && <p><button type="button" class="button" onClick={() => setShown(shown + batch)}>Show {Math.min(batch, differences.length - shown)} more of {differences.length - shown}</button></p>}
        {found && found.more > 0 && <p class="dim">{plural(found.more, 'more difference')} {found.more === 1 ? 'is' : 'are'} not told here; eaves diff {pair.a} {pair.b} counts them.</p>}
      </div>
      <footer>
        <form class="compare-with" onSubmit={(e) => { e.preventDefault(); const n = Number(other); if (Number.isSafeInteger(n) && n > 0) app.comparing.value = { a: pair.a, b: n } }}>
          <label>Compare #{pair.a} with # <input type="text" inputMode="numeric" value={other} onInput={(e) => setOther(e.currentTarget.value.replace(/\D/g, ''))} /></label>
          <button type="submit" class="button">Compare</button>
        </form>
        <span class="grow" />
        <button type="button" class="button" onClick={() => (app.comparing.value = { a: pair.b, b: pair.a })}>Swap sides</button>
        <button type="button" class="button" onClick={close}>Close</button>
      </footer>
    </Dialog>
  )
}

function groups(list: readonly Difference[]): [string, Difference[]][] {
  const out = new Map<string, Difference[]>()
  for (const d of list) {
    const have = out.get(d.part)
    if (have) have.push(d)
    else out.set(d.part, [d])
  }
  return [...out]
}

function Side({ x, onGo }: { x: Summary; onGo: (id: number) => void }) {
  const { host, path } = parts(clip(x.request.url, 200))
  const kind = outcome(x)
  return (
    <>
      <button type="button" class="link" onClick={() => onGo(x.id)}>#{x.id}</button> <span class={`outcome ${kind}`}><Sign of={kind} /> {statusText(x)}<span class="offscreen"> {outcomeName[kind]}</span></span>{' '}
      <span class="dim">{visible(x.request.method)} <Text text={clip(host + path, 90)} /> · {duration(x.time)}</span>
    </>
  )
}

/** longest is how much of a value is drawn. */
const longest = 3000

function Row({ d }: { d: Difference }) {
  const a = d.a === null ? undefined : clip(d.a, longest)
  const b = d.b === null ? undefined : clip(d.b, longest)
  const c = a !== undefined && b !== undefined ? common(a, b) : undefined
  const quiet = d.incidental || (d.masked?.length ?? 0) > 0
  return (
    <tr class={quiet ? 'quiet' : ''}>
      <th scope="row"><Text text={short(d)} />{quiet && <span class="tag">{d.incidental ? 'time' : d.masked!.join(', ')}</span>}</th>
      <td class={a === undefined ? 'absent' : b === undefined ? 'gone' : ''}>{a === undefined ? <span class="dim">nothing</span> : c ? <Marked lead={c.lead} middle={c.a} tail={c.tail} as="del" /> : <del><Text text={a} lineBreaks={false} /></del>}</td>
      <td class={b === undefined ? 'absent' : a === undefined ? 'come' : ''}>{b === undefined ? <span class="dim">nothing</span> : c ? <Marked lead={c.lead} middle={c.b} tail={c.tail} as="ins" /> : <ins><Text text={b} lineBreaks={false} /></ins>}</td>
    </tr>
  )
}

/** short leaves out of a place what its part says already. */
function short(d: Difference): string {
  if (d.where === 'url') return 'URL'
  return d.where === d.part ? (d.part === 'request' || d.part === 'response' ? 'first line' : d.where) : d.where.replace(/^(request|response) (header|trailer|body)[ .]?(?=.)/, (_, _side, what: string) => (what === 'trailer' ? 'trailer ' : ''))
}

function Marked({ lead, middle, tail, as: As }: { lead: string; middle: string; tail: string; as: 'ins' | 'del' }) {
  return <><Text text={lead} lineBreaks={false} />{middle !== '' && <As><Text text={middle} lineBreaks={false} /></As>}<Text text={tail} lineBreaks={false} /></>
}
