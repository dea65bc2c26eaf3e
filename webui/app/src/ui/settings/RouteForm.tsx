import { useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { RouteInput, RouteRule } from '../../api/settings.ts'
import { routeCommand } from '../../lib/command.ts'
import { exampleURL, meaning, patternProblem } from '../../lib/pattern.ts'
import { readVia, wayProblem, writeVia, type Way } from '../../lib/via.ts'
import type { Form } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Dialog } from '../dialogs.tsx'
import { Command } from '../Command.tsx'
import { Pulse } from '../icons.tsx'
import { failed, Field, fine, FormProblem } from './parts.tsx'
import { WayEditor } from './WayEditor.tsx'

const fields = { host: ['host'], way: ['via'], user: ['user'], secret: ['secret', 'password'], schemes: ['schemes'] } as const
const allSchemes = ['negotiate', 'ntlm', 'digest', 'basic']

/** RouteForm adds a route, or changes one. */
export function RouteForm({ form }: { form: Form }) {
  const app = useConsole()
  const was = form.was as RouteRule | undefined
  const [host, setHost] = useState(was?.host ?? form.host ?? '')
  const [way, setWay] = useState<Way>(was ? readVia(was.via) : { kind: 'proxies', pac: '', proxies: [''] })
  const [user, setUser] = useState(was?.user ?? '')
  const [typed, setTyped] = useState(!was?.password || was.password.startsWith('vault:'))
  const [secret, setSecret] = useState('')
  const [reference, setReference] = useState(was?.password ?? '')
  const [schemes, setSchemes] = useState<string[]>(was?.schemes ?? [])
  const [problem, setProblem] = useState(fine)
  const [touched, setTouched] = useState(false)
  const [sending, setSending] = useState(false)
  const close = () => (app.form.value = undefined)
  const input = (): RouteInput => {
    const o: RouteInput = { host: host.trim(), via: writeVia(way), user: user.trim(), schemes }
    if (typed && secret !== '') o.secret = secret
    if (!typed && reference.trim() !== (was?.password ?? '')) o.password = reference.trim()
    return o
  }
  const hostWrong = patternProblem(host)
  const submit = async () => {
    setTouched(true)
    if (hostWrong || wayProblem(way)) return
    setSending(true)
    try {
      if (was) await settings.change('/routes', was.id, input())
      else await settings.addRoute(input())
      setSecret('')
      app.settled.value++
      close()
    } catch (e) {
      setProblem(failed(e, fields))
    } finally {
      setSending(false)
    }
  }
  const test = () => {
    setTouched(true)
    if (wayProblem(way)) return
    const typedIn = typed && secret !== ''
    const unused = typedIn ? '' : !typed && reference.trim() !== '' ? 'the reference is read' : was?.passwordSet ? 'the kept password is used' : ''
    app.try({
      way: { via: writeVia(way), ...(typedIn ? { user: user.trim(), password: secret } : {}), ...(unused ? { note: `Only once the route is saved ${unused}: until then the proxy is told no password.` } : {}) },
      url: exampleURL(host), title: 'Test this route before it is saved',
    })
  }
  const proxied = way.kind !== 'direct'
  return (
    <Dialog title={was ? 'Route' : 'Add a route'} onClose={close} class="settings-form">
      <form onSubmit={(e) => { e.preventDefault(); void submit() }} noValidate>
        <Field label="Host" wrong={problem.at.host ?? ((touched || host !== '') && hostWrong ? hostWrong : undefined)} note={meaning(host, true) || 'A host, *.example.com, a network, or * for every host.'}>
          {(a) => <input type="text" {...a} value={host} autofocus spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="*.corp.example" onInput={(e) => { setHost(e.currentTarget.value); setProblem(fine) }} />}
        </Field>
        <WayEditor way={way} onChange={(w) => { setWay(w); setProblem(fine) }} strict={touched} problem={problem.at.way} />
        {proxied && (
          <fieldset>
            <legend>Where a proxy wants to know who you are</legend>
            <div class="line-one">
              <Field label="User" grow wrong={problem.at.user} note="DOMAIN\user for NTLM, user@REALM for Kerberos.">
                {(a) => <input type="text" {...a} value={user} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="CORP\alice" onInput={(e) => setUser(e.currentTarget.value)} />}
              </Field>
              {typed ? (
                <Field label="Password" grow wrong={problem.at.secret} note={<>{was?.passwordSet ? 'One is kept; type to replace it. ' : ''}Sealed at once, never shown again. <button type="button" class="link" onClick={() => setTyped(false)}>Use a reference</button></>}>
                  {(a) => <input type="password" {...a} value={secret} autocomplete="new-password" onInput={(e) => { setSecret(e.currentTarget.value); setProblem(fine) }} />}
                </Field>
              ) : (
                <Field label="Reference to the password" grow wrong={problem.at.secret} note={<>env:NAME, file:PATH, cmd:COMMAND or vault:NAME. <button type="button" class="link" onClick={() => setTyped(true)}>Type it in</button></>}>
                  {(a) => <input type="text" {...a} value={reference} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="env:PROXY_PASSWORD" onInput={(e) => { setReference(e.currentTarget.value); setProblem(fine) }} />}
                </Field>
              )}
            </div>
            <div class="checks" role="group" aria-label="Authentication schemes">
              <span class="dim">Only by</span>
              {allSchemes.map((s) => (
                <label key={s} class="check"><input type="checkbox" checked={schemes.includes(s)} onChange={(e) => setSchemes(e.currentTarget.checked ? allSchemes.filter((o) => o === s || schemes.includes(o)) : schemes.filter((o) => o !== s))} /> {s}</label>
              ))}
              <span class="dim">{schemes.length === 0 ? '(any that the proxy offers, the strongest first)' : ''}</span>
            </div>
            {problem.at.schemes && <p class="field-note wrong">{problem.at.schemes}</p>}
          </fieldset>
        )}
        {!was && <Command text={routeCommand({ host, via: writeVia(way), user, schemes, ...(typed ? {} : { password: reference }) })} />}
        <FormProblem failed={problem} />
        <footer>
          <button type="button" class="button" onClick={test}><Pulse /> Test</button>
          <span class="grow" />
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending}>{was ? 'Save' : 'Add route'}</button>
        </footer>
      </form>
    </Dialog>
  )
}
