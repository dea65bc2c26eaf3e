// The replay matrix: one request as each of several, on each of several ways, in one table.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import * as settings from '../api/settings.ts'
import type { Exchange, Overrides, Summary } from '../api/types.ts'
import { commonName } from '../lib/certificate.ts'
import { delta } from '../lib/attempts.ts'
import { duration, plural, size, sizeBeside } from '../lib/format.ts'
import { outcome, statusText } from '../lib/story.ts'
import { proxyProblem } from '../lib/via.ts'
import { visible } from '../lib/visible.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { Key, outcomeName, Sign } from './icons.tsx'
import { Field } from './settings/parts.tsx'

interface Choice {
  key: string
  label: string
  part: Overrides
}

type Cell = { state: 'waiting' } | { state: 'under way'; id: number } | { state: 'ended'; x: Exchange } | { state: 'refused'; why: string }

const byRules: Choice = { key: '', label: 'as the rules say', part: {} }
const noCertificate: Choice = { key: 'none', label: 'no certificate', part: { certificate: 'none' } }
const ways: Choice[] = [byRules, { key: 'direct', label: 'direct', part: { via: 'direct' } }, { key: 'system', label: 'system’s proxy', part: { via: 'system' } }]
/** As many cells are filled at once. */
const atOnce = 4

const verdicts: Record<string, string> = { accepted: 'accepted', rejected: 'rejected', 'not-requested': 'not asked for', 'no-rule': 'asked for, none sent', unknown: 'sent, verdict unknown' }

export function Matrix({ x }: { x: Summary }) {
  const app = useConsole()
  const [identities, setIdentities] = useState<Choice[]>([byRules, noCertificate])
  const [routes, setRoutes] = useState<Choice[]>(ways)
  const [who, setWho] = useState<ReadonlySet<string>>(new Set(['', 'none']))
  const [which, setWhich] = useState<ReadonlySet<string>>(new Set(['', 'direct']))
  const [typed, setTyped] = useState('')
  const [wrong, setWrong] = useState<string | undefined>(undefined)
  const [cells, setCells] = useState<ReadonlyMap<string, Cell>>(new Map())
  const [shown, setShown] = useState<{ rows: Choice[]; columns: Choice[] } | undefined>(undefined)
  const [reference, setReference] = useState('')
  const [running, setRunning] = useState(false)
  const abort = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => abort.current?.abort(), [])

  useEffect(() => {
    const stop = new AbortController()
    settings.clientCertificates(stop.signal).then((all) => {
      const own = all.filter((c) => c.for !== 'proxy').map((c): Choice => ({
        key: String(c.id), label: `${c.name || commonName(c.certificate?.subject ?? '') || `certificate ${c.id}`} (${c.host})`, part: { certificate: String(c.id) },
      }))
      setIdentities([byRules, noCertificate, ...own])
      setWho(new Set(['', 'none', ...own.slice(0, 4).map((c) => c.key)]))
    }, () => {})
    settings.routes(stop.signal).then((r) => {
      const lists = [...(r.routes ?? []).map((t) => t.via ?? []), r.default?.upstreamProxy ?? []].map((v) => v.join(','))
      const proxies = [...new Set(lists)].filter((v) => v !== '' && v !== 'direct' && v !== 'system' && v !== 'none')
      setRoutes([...ways, ...proxies.map((v): Choice => ({ key: v, label: v, part: { via: v } }))])
    }, () => {})
    return () => stop.abort()
  }, [])

  const rows = identities.filter((c) => who.has(c.key))
  const columns = routes.filter((c) => which.has(c.key))
  const addRoute = () => {
    const v = typed.split(',').map((p) => p.trim()).filter((p) => p !== '').join(',')
    const bad = v.startsWith('pac+') ? '' : v.split(',').map(proxyProblem).find((p) => p !== '') ?? ''
    if (bad) return setWrong(bad)
    if (!routes.some((r) => r.key === v)) setRoutes([...routes, { key: v, label: v, part: { via: v } }])
    setWhich(new Set([...which, v]))
    setTyped('')
  }

  const run = async () => {
    abort.current?.abort()
    const mine = (abort.current = new AbortController())
    const places = rows.flatMap((r) => columns.map((c) => ({ at: place(r, c), part: { ...r.part, ...c.part } })))
    const now = new Map<string, Cell>(places.map((p) => [p.at, { state: 'waiting' }]))
    const set = (at: string, cell: Cell) => {
      now.set(at, cell)
      if (!mine.signal.aborted) setCells(new Map(now))
    }
    setShown({ rows, columns })
    setReference(places[0]?.at ?? '')
    setCells(new Map(now))
    setRunning(true)
    let next = 0
    const worker = async () => {
      for (let p = places[next++]; p && !mine.signal.aborted; p = places[next++]) {
        try {
          const id = await api.replay(x.id, p.part)
          set(p.at, { state: 'under way', id })
          await app.watch.wait(id, mine.signal)
          set(p.at, { state: 'ended', x: await api.exchange(id, mine.signal) })
        } catch (e) {
          if (!mine.signal.aborted) set(p.at, { state: 'refused', why: message(e) })
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    if (abort.current === mine) setRunning(false)
  }

  const stop = () => {
    abort.current?.abort()
    setRunning(false)
    setCells(new Map([...cells].filter(([, c]) => c.state === 'ended' || c.state === 'refused')))
  }
  const of = cells.get(reference)
  const against = of?.state === 'ended' ? of.x : undefined
  const go = (id: number) => {
    app.matrix.value = undefined
    app.page.value = 'traffic'
    app.select(id)
  }
  const n = rows.length * columns.length
  const unsafe = !/^(GET|HEAD|OPTIONS|TRACE)$/.test(x.request.method)
  const done = useMemo(() => [...cells.values()].filter((c) => c.state === 'ended' || c.state === 'refused').length, [cells])
  return (
    <Dialog title={`Replay #${x.id} as each, on each way`} onClose={() => (app.matrix.value = undefined)} class="matrix">
      <form onSubmit={(e) => { e.preventDefault(); void run() }} noValidate>
        <p class="wrap"><strong>{visible(x.request.method)}</strong> <code>{visible(x.request.url.slice(0, 300))}</code></p>
        <div class="matrix-choices">
          <Chooser legend="Identities" choices={identities} chosen={who} onChange={setWho} />
          <div>
            <Chooser legend="Routes" choices={routes} chosen={which} onChange={setWhich} />
            <Field label="Another proxy" wrong={wrong}>
              {(a) => (
                <span class="beside-input">
                  <input type="text" {...a} value={typed} spellcheck={false} autocapitalize="off" autocomplete="off" inputMode="url" placeholder="http://proxy.example.com:3128"
                    onInput={(e) => { setTyped(e.currentTarget.value); setWrong(undefined) }}
                    onKeyDown={(e) => { if (e.key === 'Enter') { e.preventDefault(); addRoute() } }} />
                  <button type="button" class="button" disabled={typed.trim() === ''} onClick={addRoute}>Add</button>
                </span>
              )}
            </Field>
          </div>
        </div>
        {shown && (
          <div class="matrix-scroll" tabIndex={0} role="region" aria-label="Matrix">
            <table class="matrix-table">
              <caption class="offscreen">What became of the request, by identity and route</caption>
              <thead><tr><th scope="col">Identity</th>{shown.columns.map((c) => <th key={c.key} scope="col">{visible(c.label)}</th>)}</tr></thead>
              <tbody>
                {shown.rows.map((r) => (
                  <tr key={r.key}>
                    <th scope="row">{visible(r.label)}</th>
                    {shown.columns.map((c) => {
                      const at = place(r, c)
                      return <Shown key={at} cell={cells.get(at)} against={against} reference={at === reference} onReference={() => setReference(at)} onGo={go}
                        onDiff={against ? (id) => (app.comparing.value = { a: against.id, b: id }) : undefined} />
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {unsafe && !shown && <p class="note warn">This sends {visible(x.request.method)} {plural(n, 'time')}: whatever it does is done as often.</p>}
        <p class="dim" role="status">{shown ? `${done} of ${cells.size} answered. Differences are against the cell that is the reference.` : `${plural(rows.length, 'identity', 'identities')} × ${plural(columns.length, 'route')}: ${plural(n, 'request')}`}</p>
        <footer>
          <span class="grow" />
          {running ? <button type="button" class="button" onClick={stop}>Stop</button> : <button type="button" class="button" onClick={() => (app.matrix.value = undefined)}>Close</button>}
          <button type="submit" class="button primary" disabled={running || n === 0}>{running ? 'Sending …' : shown ? 'Send again' : `Send ${n}`}</button>
        </footer>
      </form>
    </Dialog>
  )
}

function place(r: Choice, c: Choice): string { return `${r.key}\n${c.key}` }

function Chooser({ legend, choices, chosen, onChange }: { legend: string; choices: Choice[]; chosen: ReadonlySet<string>; onChange: (s: ReadonlySet<string>) => void }) {
  const toggle = (key: string) => {
    const next = new Set(chosen)
    if (!next.delete(key)) next.add(key)
    onChange(next)
  }
  return (
    <fieldset>
      <legend>{legend}</legend>
      {choices.map((c) => <label key={c.key} class="check"><input type="checkbox" checked={chosen.has(c.key)} onChange={() => toggle(c.key)} /> <span class="wrap">{visible(c.label)}</span></label>)}
    </fieldset>
  )
}

/** Different marks what is not as in the reference: by a sign, since colour says nothing to some. */
function Different({ as, children }: { as: boolean; children: preact.ComponentChildren }) {
  return as ? <span class="different"><span aria-hidden="true">≠ </span><span class="offscreen">differs: </span>{children}</span> : <>{children}</>
}

function Shown({ cell, against, reference, onReference, onGo, onDiff }: {
  cell: Cell | undefined; against: Exchange | undefined; reference: boolean; onReference: () => void; onGo: (id: number) => void; onDiff?: ((id: number) => void) | undefined
}) {
  if (!cell) return <td class="dim">–</td>
  if (cell.state === 'waiting') return <td class="dim">waits</td>
  if (cell.state === 'under way') return <td class="dim"><span class="pulse-dot" aria-hidden="true" />#{cell.id} …</td>
  if (cell.state === 'refused') return <td><span class="bad-text">{visible(cell.why)}</span></td>
  const x = cell.x
  const kind = outcome(x)
  const verdict = words(x)
  const other = against && !reference ? against : undefined
  return (
    <td class={reference ? 'reference' : ''}>
      <div class="cell-status"><Different as={!!other && statusText(other) !== statusText(x)}><span class={`outcome ${kind}`}><Sign of={kind} /> {statusText(x)}<span class="offscreen"> {outcomeName[kind]}</span></span></Different>
        <button type="button" class="link" onClick={() => onGo(x.id)}>#{x.id}</button></div>
      <div><Different as={!!other && words(other) !== verdict}>{x.tls?.clientCertificate?.sent && <Key of="sent" />} {verdict}</Different></div>
      <div><Different as={!!other && other.answeredBy !== x.answeredBy}>{x.error ? visible(x.error.message.slice(0, 160)) : x.answeredBy ? `answered by ${visible(x.answeredBy)}` : 'no answer'}</Different></div>
      <div class="dim">{duration(x.time)}{other ? ` (${delta(other.time, x.time)})` : ''} · <Different as={!!other && (other.response?.bodySize ?? -1) !== (x.response?.bodySize ?? -1)}>{other ? sizeBeside(other.response?.bodySize, x.response?.bodySize) : size(x.response?.bodySize)}</Different></div>
      <div class="cell-actions">
        {reference ? <strong>the reference</strong> : <button type="button" class="link" onClick={onReference}>Make reference</button>}
        {other && onDiff && <button type="button" class="link" onClick={() => onDiff(x.id)}>Diff</button>}
      </div>
    </td>
  )
}

function words(x: Exchange): string {
  const c = x.tls?.clientCertificate
  if (!x.tls) return 'no TLS'
  if (!c) return 'certificate not asked for'
  const sent = c.sent ? `${commonName(c.sent.subject)}: ` : 'certificate '
  return visible(sent + (verdicts[c.verdict] ?? c.verdict))
}
