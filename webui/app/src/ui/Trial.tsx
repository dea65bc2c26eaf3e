// Trying an address out: every stage on the way, as it ends.

import { useEffect, useRef, useState } from 'preact/hooks'
import * as settings from '../api/settings.ts'
import type { Explanation, Stage, Trial as TrialInput, WayTrial } from '../api/settings.ts'
import { trialCommand, wayTrialCommand } from '../lib/command.ts'
import { duration } from '../lib/format.ts'
import { oneScheme } from '../lib/url.ts'
import { viaWords, withCredentials } from '../lib/via.ts'
import { visible } from '../lib/visible.ts'
import { message, type NewWay, type Try } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { Command } from './Command.tsx'
import { Caution, Cross, Tick } from './icons.tsx'
import { ErrorText } from './ErrorText.tsx'
import { Hint } from './Hint.tsx'
import { SendAs, sendAsOverrides, sendAsProblem, type As } from './SendAs.tsx'
import { Field } from './settings/parts.tsx'
import { Text } from './Text.tsx'

const statusNames: Record<string, string> = { ok: 'done', failed: 'failed', warning: 'mind this', skipped: 'not needed', info: '' }

export function Trial({ what }: { what: Try }) {
  const app = useConsole()
  const [url, setURL] = useState(what.url)
  const [as, setAs] = useState<As>({ certificate: what.certificate ?? '', via: '', verify: '' })
  const [stages, setStages] = useState<Stage[]>([])
  const [running, setRunning] = useState(false)
  const [explained, setExplained] = useState<Explanation | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const abort = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => abort.current?.abort(), [])
  const way = what.way
  const trial = (): TrialInput => ({ url: url.trim(), ...sendAsOverrides(as) })
  const wayTrial = (w: NewWay): WayTrial => ({ url: url.trim(), via: w.via, ...(w.bypass ? { bypass: w.bypass } : {}) })
  /** begin drops what an earlier question is still bringing. */
  const begin = (): AbortController | undefined => {
    const wrong = !/^https?:\/\/[^/\s]/i.test(url.trim()) ? 'Give a whole address, such as https://api.example.com/.' : sendAsProblem(as)
    setProblem(wrong)
    if (wrong) return undefined
    abort.current?.abort()
    setStages([])
    setExplained(undefined)
    setRunning(false)
    return (abort.current = new AbortController())
  }
  const explain = async () => {
    const mine = begin()
    if (!mine) return
    try {
      const e = await settings.explain(trial(), mine.signal)
      if (!mine.signal.aborted) setExplained(e)
    } catch (e) {
      if (!mine.signal.aborted) setProblem(message(e))
    }
  }
  const run = async () => {
    const mine = begin()
    if (!mine) return
    setRunning(true)
    try {
      const told = (s: Stage) => setStages((was) => [...was, s])
      if (way) await settings.testWay({ ...wayTrial(way), via: withCredentials(way.via, way.user ?? '', way.password ?? '') }, told, mine.signal)
      else await settings.test(trial(), told, mine.signal)
    } catch (e) {
      if (!mine.signal.aborted) setProblem(message(e))
    } finally {
      if (abort.current === mine) setRunning(false)
    }
  }
  const result = stages.find((s) => s.stage === 'result')
  const end = useRef<HTMLDivElement>(null)
  // What comes last is what one waits for.
  useEffect(() => { if (stages.length > 0) end.current?.scrollIntoView({ block: 'nearest' }) }, [stages.length])
  return (
    <Dialog title={what.title} onClose={() => (app.trying.value = undefined)} class="settings-form trial">
      <form onSubmit={(e) => { e.preventDefault(); void run() }} noValidate>
        <div class="line-one">
          <Field label="Address" grow wrong={problem || undefined} note={way ? 'eaves really connects, and sends one GET.' : 'Explain connects to nobody; Test really connects, and sends one GET.'}>
            {(a) => <input type="text" {...a} value={url} autofocus inputMode="url" spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="https://api.example.com/"
              onFocus={(e) => e.currentTarget.select()} onInput={(e) => { setURL(oneScheme(e.currentTarget.value)); setProblem('') }} />}
          </Field>
          {!way && <button type="button" class="button beside" onClick={() => void explain()}>Explain</button>}
          <button type="submit" class="button primary beside">{running ? 'Start again' : 'Test'}</button>
        </div>
        {way ? <Through way={way} /> : <SendAs as={as} onChange={setAs} legend="Connect" />}
        {explained && <Explained e={explained} />}
        {(stages.length > 0 || running) && (
          <ol class="stages" aria-label="Stages" aria-live="polite" aria-busy={running}>
            {stages.filter((s) => s !== result).map((s, i) => <StageRow key={i} s={s} end={result} />)}
            {running && <li class="info"><span class="stage-sign"><span class="pulse-dot" aria-hidden="true" /></span><span class="stage-title dim">under way …</span></li>}
          </ol>
        )}
        {result && (
          <div class={`failure ${result.status === 'failed' ? '' : result.status === 'warning' ? 'mild' : 'fine'}`} role="note">
            <p class="what">{result.status === 'failed' ? <Cross /> : result.status === 'warning' ? <Caution /> : <Tick />} <ErrorText text={result.message || result.title} /></p>
            {result.hint && <p class="hint"><Hint text={result.hint} /></p>}
          </div>
        )}
        <div ref={end} />
        <Command text={way ? wayTrialCommand(wayTrial(way)) : trialCommand(trial(), explained ? 'explain' : 'doctor')} />
        <footer>
          <span class="grow" />
          <button type="button" class="button" onClick={() => (app.trying.value = undefined)}>Close</button>
        </footer>
      </form>
    </Dialog>
  )
}

/** Through says what way is tried. */
function Through({ way }: { way: NewWay }) {
  return (
    <div class="dim wrap">
      <p>Through: {visible(viaWords(way.via))}{way.user && way.password ? <> as {visible(way.user)}, with the password typed in</> : null}</p>
      {way.bypass && <p>Not for: {visible(way.bypass)}</p>}
      {way.note && <p>{way.note}</p>}
    </div>
  )
}

/** Explained says what would be done for an address: which way, shown as whom, trusting whom, speaking what. */
function Explained({ e }: { e: Explanation }) {
  const hops = (e.route?.hops ?? []).map((h) => h.address)
  const candidates = e.clientCertificate.candidates ?? []
  const added = e.trust.added ?? []
  return (
    <div class="explained" role="region" aria-label="What would be done">
      <h3>Route</h3>
      {hops.length > 0 && <p class="strong wrap"><Text text={hops.join(' → ')} /></p>}
      {(e.why ?? []).map((w, i) => <p key={i}><Text text={w} lineBreaks={false} /></p>)}
      <h3>Client certificate</h3>
      <p><Text text={e.clientCertificate.explanation} lineBreaks={false} /></p>
      {candidates.length > 0 && (
        <ul class="plain-list">
          {candidates.map((c) => (
            <li key={c.id} class={c.matches === false ? 'dim' : ''}><code><Text text={c.rule} /></code>{c.subject ? <> <Text text={c.subject} /></> : null}: <Text text={c.reason} lineBreaks={false} /></li>
          ))}
        </ul>
      )}
      <h3>Trust</h3>
      <p><Text text={e.trust.explanation || e.trust.roots} lineBreaks={false} /></p>
      {added.length > 0 && <ul class="plain-list">{added.map((a) => <li key={a.id}><Text text={a.subject} /> for {a.host ? <code><Text text={a.host} /></code> : 'every host'}</li>)}</ul>}
      <h3>TLS</h3>
      <p><Text text={e.tls.explanation} lineBreaks={false} /></p>
    </div>
  )
}

/** StageRow tells a stage. What the end says again is not said twice. */
function StageRow({ s, end }: { s: Stage; end: Stage | undefined }) {
  const message = s.message === end?.message ? '' : s.message
  const hint = s.hint === end?.hint ? '' : s.hint
  return (
    <li class={s.status}>
      <span class="stage-sign">{s.status === 'failed' ? <Cross /> : s.status === 'warning' ? <Caution /> : s.status === 'ok' ? <Tick /> : <span aria-hidden="true">·</span>}<span class="offscreen">{statusNames[s.status] ?? s.status}</span></span>
      <span class="stage-title">{visible(s.title)}</span>
      <span class="stage-time dim">{s.time > 0 ? duration(s.time) : ''}</span>
      <div class="stage-body">
        {message && <p class={s.status === 'failed' ? 'bad' : ''}><Text text={message} lineBreaks={false} /></p>}
        {s.facts && s.facts.length > 0 && <dl>{s.facts.map((f, i) => <div key={i}><dt>{visible(f.name)}</dt><dd><Text text={f.value} /></dd></div>)}</dl>}
        {hint && <p class="dim"><Hint text={hint} /></p>}
      </div>
    </li>
  )
}
