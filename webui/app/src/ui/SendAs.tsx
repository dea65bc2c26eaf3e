// As whom a request is sent, which way, and whether the origin must prove itself: for replays, new requests and trials.

import { useEffect, useState } from 'preact/hooks'
import * as settings from '../api/settings.ts'
import type { ClientCertificateEntry } from '../api/settings.ts'
import type { Overrides, Summary } from '../api/types.ts'
import { commonName } from '../lib/certificate.ts'
import { proxyProblem } from '../lib/via.ts'
import { visible } from '../lib/visible.ts'
import { once, planProblem } from '../model/batch.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { Replay } from './icons.tsx'
import { PlanFields } from './PlanFields.tsx'
import { Field } from './settings/parts.tsx'

/** What is chosen; empty: the rules decide. */
export interface As {
  /** A client certificate's id, or "none". */
  certificate: string
  /** "direct", "system", or what is typed behind "url:". */
  via: string
  verify: '' | 'on' | 'off'
}

export const byRules: As = { certificate: '', via: '', verify: '' }

/** sendAsOverrides is the choice as the API takes it. */
export function sendAsOverrides(as: As): Pick<Overrides, 'certificate' | 'via' | 'verify'> {
  const via = as.via.startsWith('url:') ? as.via.slice(4).split(',').map((p) => p.trim()).filter((p) => p !== '').join(',') : as.via
  return {
    ...(as.certificate ? { certificate: as.certificate } : {}),
    ...(via ? { via } : {}),
    ...(as.verify ? { verify: as.verify === 'on' } : {}),
  }
}

/** sendAsProblem says what is wrong with the way that is typed. */
export function sendAsProblem(as: As): string {
  if (!as.via.startsWith('url:')) return ''
  const typed = as.via.slice(4).trim()
  if (typed === '') return proxyProblem('')
  if (typed.startsWith('pac+')) return ''
  return typed.split(',').map((p) => proxyProblem(p)).find((p) => p !== '') ?? ''
}

export function SendAs({ as, onChange, wrong = {}, legend = 'Send it' }: { as: As; onChange: (a: As) => void; wrong?: Record<string, string>; legend?: string }) {
  const [certs, setCerts] = useState<ClientCertificateEntry[]>([])
  useEffect(() => {
    const abort = new AbortController()
    settings.clientCertificates(abort.signal).then((all) => setCerts(all.filter((c) => c.for !== 'proxy')), () => {})
    return () => abort.abort()
  }, [])
  const kind = as.via.startsWith('url:') ? 'url' : as.via
  const known = as.certificate === '' || as.certificate === 'none' || certs.some((c) => String(c.id) === as.certificate)
  return (
    <fieldset class="send-as">
      <legend>{legend}</legend>
      <div class="line-one">
        <Field label="Client certificate" grow wrong={wrong.certificate}>
          {(a) => (
            <select {...a} value={as.certificate} onChange={(e) => onChange({ ...as, certificate: e.currentTarget.value })}>
              <option value="">as the rules say</option>
              <option value="none">none</option>
              {certs.map((c) => <option key={c.id} value={String(c.id)}>{visible(`${c.name || commonName(c.certificate?.subject ?? '') || `certificate ${c.id}`} (${c.host}${c.enabled ? '' : ', off'})`)}</option>)}
              {!known && <option value={as.certificate}>certificate {as.certificate}</option>}
            </select>
          )}
        </Field>
        <Field label="Route" grow>
          {(a) => (
            <select {...a} value={kind} onChange={(e) => onChange({ ...as, via: e.currentTarget.value === 'url' ? 'url:' : e.currentTarget.value })}>
              <option value="">as the rules say</option><option value="direct">direct</option><option value="system">system’s proxy</option><option value="url">this proxy …</option>
            </select>
          )}
        </Field>
        <Field label="Origin’s certificate" grow wrong={wrong.verify}>
          {(a) => (
            <select {...a} value={as.verify} onChange={(e) => onChange({ ...as, verify: e.currentTarget.value as As['verify'] })}>
              <option value="">as the rules say</option><option value="on">must be good</option><option value="off">need not be good</option>
            </select>
          )}
        </Field>
      </div>
      {kind === 'url' && (
        <Field label="Proxy" wrong={wrong.via || (as.via.length > 8 ? sendAsProblem(as) || undefined : undefined)} note="Several, separated by commas, are a chain; pac+URL is a PAC file.">
          {(a) => <input type="text" {...a} value={as.via.slice(4)} spellcheck={false} autocapitalize="off" autocomplete="off" inputMode="url" placeholder="http://proxy.example.com:3128" onInput={(e) => onChange({ ...as, via: 'url:' + e.currentTarget.value })} />}
        </Field>
      )}
    </fieldset>
  )
}

/** Resend sends a captured request again as it is, but as somebody else, another way, or many times. */
export function Resend({ x }: { x: Summary }) {
  const app = useConsole()
  const [as, setAs] = useState(byRules)
  const [plan, setPlan] = useState(once)
  const [pauses, setPauses] = useState<'none' | 'recorded'>('none')
  const [problem, setProblem] = useState('')
  const [sending, setSending] = useState(false)
  const submit = async () => {
    const wrong = sendAsProblem(as) || planProblem(plan)
    if (wrong) return setProblem(wrong)
    setSending(true)
    setProblem('')
    try {
      await app.sendAgain(x, { ...sendAsOverrides(as), ...(x.kind === 'websocket' && pauses === 'recorded' ? { pauses } : {}) }, plan)
    } catch (e) {
      setProblem(message(e))
    } finally {
      setSending(false)
    }
  }
  return (
    <Dialog title={`Replay #${x.id} as …`} onClose={() => (app.resending.value = undefined)} class="settings-form">
      <form onSubmit={(e) => { e.preventDefault(); void submit() }} noValidate>
        <p class="wrap"><strong>{visible(x.request.method)}</strong> <code>{visible(x.request.url.slice(0, 300))}</code></p>
        <SendAs as={as} onChange={(a) => { setAs(a); setProblem('') }} />
        <PlanFields plan={plan} onChange={(p) => { setPlan(p); setProblem('') }} />
        {x.kind === 'websocket' && (
          <label class="check"><input type="checkbox" checked={pauses === 'recorded'} onChange={(e) => setPauses(e.currentTarget.checked ? 'recorded' : 'none')} /> with the pauses that were between its messages</label>
        )}
        {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
        <footer>
          <span class="dim grow">The request stays as it was; each result is a new exchange.</span>
          <button type="button" class="button" onClick={() => (app.resending.value = undefined)}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending} autofocus><Replay /> {sending ? 'Sending …' : 'Replay'}</button>
        </footer>
      </form>
    </Dialog>
  )
}
