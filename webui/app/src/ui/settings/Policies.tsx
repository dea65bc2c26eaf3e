import { useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { Policy, PolicyInput } from '../../api/settings.ts'
import { policyCommand } from '../../lib/command.ts'
import { exampleURL, meaning, patternProblem } from '../../lib/pattern.ts'
import { policyProblems, policyWords, suites, versions, words } from '../../lib/policy.ts'
import type { Form } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Dialog } from '../dialogs.tsx'
import { Command } from '../Command.tsx'
import { Caution, Edit, Plus, Pulse, Trash } from '../icons.tsx'
import { HostText } from '../Text.tsx'
import { failed, Field, fine, FormProblem, Intro, Reading, Switch, useRead } from './parts.tsx'

/** Policies lists what is done otherwise than usual in TLS, by host. */
export function Policies() {
  const app = useConsole()
  const list = useRead(settings.policies)
  const entries = list.value ?? []
  return (
    <>
      <Intro
        command="eaves tls set '*.old.example' --min 1.0 --verify off"
        action={<>
          <button type="button" class="button primary" onClick={() => app.settings('tls', {})} title="Add a TLS policy (a)"><Plus /> Add</button>
          <button type="button" class="button" onClick={() => app.try({ url: '' })} title="Connect to an address and see each stage (t)"><Pulse /> Test an address</button>
        </>}
      >
        How TLS is spoken to some hosts: versions, ciphers, verification. The most specific pattern wins, as a whole.
      </Intro>
      <Reading list={list} />
      {list.value && entries.length === 0 && <p class="empty">Every host is spoken to as usual: TLS 1.2 or 1.3, certificates verified.</p>}
      {entries.length > 0 && (
        <table class="entries">
          <caption class="offscreen">TLS policies</caption>
          <thead><tr><th scope="col">On</th><th scope="col">Host</th><th scope="col">What is different</th><th scope="col"><span class="offscreen">Actions</span></th></tr></thead>
          <tbody>{entries.map((p) => <Entry key={p.id} p={p} />)}</tbody>
        </table>
      )}
    </>
  )
}

function Entry({ p }: { p: Policy }) {
  const app = useConsole()
  const said = policyWords(p)
  const remove = () => (app.confirming.value = {
    text: `Remove the TLS policy for ${p.host}? It is then spoken to as usual.`,
    label: 'Remove',
    run: () => void app.change('Removing failed', () => settings.drop('/tls-policies', p.id), `${p.host} is spoken to as usual again.`),
  })
  return (
    <tr class={p.enabled ? '' : 'off'}>
      <td class="c-on"><Switch on={p.enabled} name={`Use the policy for ${p.host}`} onChange={() => void app.change('Switching failed', () => settings.change('/tls-policies', p.id, { enabled: !p.enabled }))} /></td>
      <th scope="row" class="c-pattern"><code><HostText text={p.host} /></code></th>
      <td class="c-main">
        <p>{said.join(' · ') || 'nothing'}</p>
        {(p.ciphers?.length ?? 0) > 1 && <p class="dim small wrap">{p.ciphers!.join(', ')}</p>}
        {p.verify === false && <ul class="warnings"><li><Caution /> <span>whoever answers is believed</span></li></ul>}
      </td>
      <td class="c-actions">
        <button type="button" class="tool" aria-label={`Test the policy for ${p.host}`} title="Connect with it and see each stage" onClick={() => app.try({ url: exampleURL(p.host) })}><Pulse /></button>
        <button type="button" class="tool" aria-label={`Change the policy for ${p.host}`} title="Change" onClick={() => app.settings('tls', { was: p })}><Edit /></button>
        <button type="button" class="tool" aria-label={`Remove the policy for ${p.host}`} title="Remove" onClick={remove}><Trash /></button>
      </td>
    </tr>
  )
}

const fields = { host: ['host'], min: ['min'], max: ['max'], ciphers: ['ciphers'], alpn: ['alpn'], serverName: ['serverName'], verify: ['verify'], renegotiation: ['renegotiation'] } as const

export function PolicyForm({ form }: { form: Form }) {
  const app = useConsole()
  const was = form.was as Policy | undefined
  const [p, setP] = useState<PolicyInput>({
    enabled: was?.enabled ?? true, host: was?.host ?? form.host ?? '', min: was?.min ?? '', max: was?.max ?? '', ciphers: [], alpn: was?.alpn ?? [],
    verify: was?.verify ?? null, serverName: was?.serverName ?? '', renegotiation: was?.renegotiation || 'never',
  })
  const [ciphers, setCiphers] = useState((was?.ciphers ?? []).join('\n'))
  const [problem, setProblem] = useState(fine)
  const [touched, setTouched] = useState(false)
  const [sending, setSending] = useState(false)
  const close = () => (app.form.value = undefined)
  const set = (over: Partial<PolicyInput>) => { setP({ ...p, ...over }); setProblem(fine) }
  const now: PolicyInput = { ...p, host: p.host.trim(), ciphers: words(ciphers), serverName: p.serverName?.trim() ?? '' }
  const found = policyProblems(now)
  const host = patternProblem(p.host)
  const wrong = (f: 'host' | 'min' | 'max' | 'ciphers' | 'alpn' | 'serverName' | 'verify' | 'renegotiation'): string | undefined => {
    if (problem.at[f]) return problem.at[f]
    if (f === 'host') return (touched || p.host !== '') && host ? host : undefined
    return f === 'max' || f === 'ciphers' || f === 'alpn' || f === 'serverName' ? found[f] : undefined
  }
  const submit = async () => {
    setTouched(true)
    if (host || found.max || found.ciphers || found.alpn || found.serverName || found.empty) return
    setSending(true)
    try {
      if (was) await settings.change('/tls-policies', was.id, now)
      else await settings.addPolicy(now)
      app.settled.value++
      close()
    } catch (e) {
      setProblem(failed(e, fields))
    } finally {
      setSending(false)
    }
  }
  const alpn = (p.alpn ?? []).join(',')
  const unused = suites.filter((s) => !now.ciphers!.includes(s))
  return (
    <Dialog title={was ? 'TLS policy' : 'Add a TLS policy'} onClose={close} class="settings-form">
      <form onSubmit={(e) => { e.preventDefault(); void submit() }} noValidate>
        <Field label="Host" wrong={wrong('host')} note={meaning(p.host, true) || 'A policy for the same pattern is replaced.'}>
          {(a) => <input type="text" {...a} value={p.host} autofocus spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="*.old.example" onInput={(e) => set({ host: e.currentTarget.value })} />}
        </Field>
        <div class="line-one">
          <Field label="Oldest version" grow wrong={wrong('min')}>
            {(a) => <select {...a} value={p.min} onChange={(e) => set({ min: e.currentTarget.value })}><option value="">as usual (1.2)</option>{versions.map((v) => <option key={v} value={v}>TLS {v}</option>)}</select>}
          </Field>
          <Field label="Newest version" grow wrong={wrong('max')}>
            {(a) => <select {...a} value={p.max} onChange={(e) => set({ max: e.currentTarget.value })}><option value="">as usual (1.3)</option>{versions.map((v) => <option key={v} value={v}>TLS {v}</option>)}</select>}
          </Field>
          <Field label="Certificates" grow wrong={wrong('verify')}>
            {(a) => (
              <select {...a} value={p.verify === null ? '' : p.verify ? 'on' : 'off'} onChange={(e) => set({ verify: e.currentTarget.value === '' ? null : e.currentTarget.value === 'on' })}>
                <option value="">as usual</option><option value="on">verified</option><option value="off">not verified</option>
              </select>
            )}
          </Field>
        </div>
        <div class="line-one">
          <Field label="HTTP versions offered (ALPN)" grow wrong={wrong('alpn')}>
            {(a) => (
              <select {...a} value={alpn} onChange={(e) => set({ alpn: words(e.currentTarget.value) })}>
                <option value="">as usual (HTTP/2, HTTP/1.1)</option><option value="http/1.1">HTTP/1.1 only</option><option value="h2">HTTP/2 only</option>
                {alpn !== '' && alpn !== 'h2' && alpn !== 'http/1.1' && <option value={alpn}>{alpn}</option>}
              </select>
            )}
          </Field>
          <Field label="Renegotiation" grow wrong={wrong('renegotiation')} note={p.renegotiation !== 'never' ? 'For servers that ask for the certificate after the request, as IIS does; TLS 1.2 only.' : undefined}>
            {(a) => <select {...a} value={p.renegotiation} onChange={(e) => set({ renegotiation: e.currentTarget.value })}><option value="never">never (as usual)</option><option value="once">once</option><option value="freely">freely</option></select>}
          </Field>
          <Field label="Server name (SNI)" grow wrong={wrong('serverName')}>
            {(a) => <input type="text" {...a} value={p.serverName} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="the URL’s host" onInput={(e) => set({ serverName: e.currentTarget.value })} />}
          </Field>
        </div>
        <Field label={<>Cipher suites <span class="dim">· one a line, only these are offered; empty: as usual</span></>} wrong={wrong('ciphers')} note="For TLS 1.2 and older; those of TLS 1.3 cannot be chosen among.">
          {(a) => <textarea {...a} class="headers-field" rows={Math.min(6, Math.max(2, ciphers.split('\n').length))} value={ciphers} spellcheck={false} autocapitalize="off" onInput={(e) => { setCiphers(e.currentTarget.value); setProblem(fine) }} />}
        </Field>
        <Field label="Add a suite">
          {(a) => (
            <select {...a} value="" onChange={(e) => { if (e.currentTarget.value) setCiphers((ciphers.trim() ? ciphers.trim() + '\n' : '') + e.currentTarget.value); e.currentTarget.value = '' }}>
              <option value="">choose …</option>{unused.map((s) => <option key={s} value={s}>{s}</option>)}
            </select>
          )}
        </Field>
        {found.note && <p class="note warn">{found.note}</p>}
        {touched && found.empty && <p class="note warn" role="alert">{found.empty}</p>}
        <Command text={policyCommand(now)} />
        <FormProblem failed={problem} />
        <footer>
          <span class="grow" />
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending}>{was ? 'Save' : 'Add policy'}</button>
        </footer>
      </form>
    </Dialog>
  )
}
