import { useEffect, useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { TrustEntry, TrustInput } from '../../api/settings.ts'
import { commonName } from '../../lib/certificate.ts'
import { trustCommand } from '../../lib/command.ts'
import { base64 } from '../../lib/curl.ts'
import { exampleURL, meaning, patternProblem } from '../../lib/pattern.ts'
import { longestFile, read, whatIs } from '../../lib/upload.ts'
import { visible } from '../../lib/visible.ts'
import { message, type Form } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Dialog } from '../dialogs.tsx'
import { Command } from '../Command.tsx'
import { Edit, Plus, Pulse, Trash } from '../icons.tsx'
import { HostText, Text } from '../Text.tsx'
import { Drop, Expires, failed, Field, fine, FormProblem, Intro, Reading, Switch, useRead, Warnings } from './parts.tsx'

const trustFiles = '.pem,.crt,.cer,.der,.p7b'

/** Trust lists the CAs that origins may be signed by beside the system's. */
export function Trust() {
  const app = useConsole()
  const list = useRead(settings.trust)
  const entries = list.value ?? []
  return (
    <>
      <Intro
        command="eaves trust add corporate-ca.pem --host '*.corp.example'"
        action={<>
          <button type="button" class="button primary" onClick={() => app.settings('trust', {})} title="Add a CA (a)"><Plus /> Add</button>
          <button type="button" class="button" onClick={() => app.try({ url: '' })} title="Connect to an address and see each stage (t)"><Pulse /> Test an address</button>
        </>}
      >
        CAs that may sign origins and parent proxies, beside those the system trusts; for every host, or for some.
      </Intro>
      <Drop accept={trustFiles} onFiles={(files) => app.settings('trust', { files })}>Drop a CA’s certificate here.</Drop>
      <Reading list={list} />
      {list.value && entries.length === 0 && <p class="empty">Only what the system trusts is trusted.</p>}
      {entries.length > 0 && (
        <table class="entries">
          <caption class="offscreen">Trusted CAs</caption>
          <thead><tr><th scope="col">On</th><th scope="col">Host</th><th scope="col">CA</th><th scope="col">Validity</th><th scope="col"><span class="offscreen">Actions</span></th></tr></thead>
          <tbody>{entries.map((t) => <Entry key={t.id} t={t} />)}</tbody>
        </table>
      )}
    </>
  )
}

function Entry({ t }: { t: TrustEntry }) {
  const app = useConsole()
  const certs = t.certificates ?? []
  const name = visible(certs[0] ? commonName(certs[0].subject) : t.file)
  const where = t.host || 'every host'
  const remove = () => (app.confirming.value = {
    text: `Trust ${name} no more, for ${where}? What it signed is then refused unless somebody else is trusted for it.`,
    label: 'Remove',
    run: () => void app.change('Removing failed', () => settings.drop('/trust', t.id), `${name} is not trusted any more.`),
  })
  return (
    <tr class={t.enabled ? '' : 'off'}>
      <td class="c-on"><Switch on={t.enabled} name={`Trust ${name} for ${where}`} onChange={() => void app.change('Switching failed', () => settings.change('/trust', t.id, { enabled: !t.enabled }))} /></td>
      <th scope="row" class="c-pattern">{t.host ? <code><HostText text={t.host} /></code> : 'every host'}</th>
      <td class="c-main">
        {certs.map((c) => <p key={c.sha256} class="strong"><Text text={c.subject} /> <span class="dim small plain" title={c.sha256}>SHA-256 {c.sha256.slice(0, 16)}…</span></p>)}
        <p class="dim small wrap">{t.uploaded ? 'uploaded; eaves keeps a copy' : visible(t.file)}</p>
        <Warnings list={t.warnings} problem={t.problem} />
      </td>
      <td class="c-expires">{certs.map((c) => <p key={c.sha256}><Expires c={c} /></p>)}</td>
      <td class="c-actions">
        <button type="button" class="tool" aria-label={`Test ${name}`} title="Connect to a server that it signed and see each stage" onClick={() => app.try({ url: exampleURL(t.host) })}><Pulse /></button>
        <button type="button" class="tool" aria-label={`Change ${name}`} title="Change" onClick={() => app.settings('trust', { was: t })}><Edit /></button>
        <button type="button" class="tool" aria-label={`Remove ${name}`} title="Remove" onClick={remove}><Trash /></button>
      </td>
    </tr>
  )
}

const fields = { host: ['host'], files: ['data'], file: ['file'] } as const

export function TrustForm({ form }: { form: Form }) {
  const app = useConsole()
  const was = form.was as TrustEntry | undefined
  const [every, setEvery] = useState(was ? was.host === '' : !form.host)
  const [host, setHost] = useState(was?.host ?? form.host ?? '')
  const [upload, setUpload] = useState(was?.uploaded ?? true)
  const [chosen, setChosen] = useState<{ name: string; data: string } | undefined>(undefined)
  const [file, setFile] = useState(was && !was.uploaded ? was.file : '')
  const [problem, setProblem] = useState(fine)
  const [touched, setTouched] = useState(false)
  const [sending, setSending] = useState(false)
  const close = () => (app.form.value = undefined)
  const take = (files: File[]) => {
    setUpload(true)
    read(files.slice(0, 1)).then(([f]) => {
      if (!f) return
      const what = whatIs(f.bytes)
      const wrong = f.bytes.length > longestFile ? 'is too long to be a certificate' : what === 'key' ? 'is a private key, not a CA’s certificate' : what === 'pfx' ? 'is a PKCS#12 file; a CA’s certificate is PEM, DER or .p7b' : ''
      setChosen(wrong ? undefined : { name: f.name, data: base64(f.bytes) })
      setProblem(wrong ? { at: { files: `${f.name} ${wrong}.` }, rest: '' } : fine)
    }, (e) => setProblem({ at: { files: message(e) }, rest: '' }))
  }
  useEffect(() => { if (form.files) take(form.files) }, [form.files])
  const early: Record<string, string> = {}
  if (!every && patternProblem(host)) early.host = patternProblem(host)
  if (upload && !chosen && !was) early.files = 'Choose a file.'
  if (!upload && file.trim() === '') early.file = 'Name the file, by its whole path.'
  const wrong = (f: string) => problem.at[f] ?? (touched || (f === 'host' && host !== '') ? early[f] : undefined)
  const submit = async () => {
    setTouched(true)
    if (Object.keys(early).length > 0) return
    setSending(true)
    const o: TrustInput = { host: every ? '' : host.trim() }
    if (upload && chosen) o.data = chosen.data
    if (!upload && file.trim() !== was?.file) o.file = file.trim()
    try {
      if (was) await settings.change('/trust', was.id, o)
      else await settings.addTrust(o)
      app.settled.value++
      close()
    } catch (e) {
      setProblem(failed(e, upload ? { ...fields, files: ['data', 'file'] } : { ...fields, file: ['data', 'file'] }))
    } finally {
      setSending(false)
    }
  }
  return (
    <Dialog title={was ? 'Trusted CA' : 'Trust a CA'} onClose={close} class="settings-form">
      <form onSubmit={(e) => { e.preventDefault(); void submit() }} noValidate>
        <fieldset>
          <legend>The CA’s certificate</legend>
          <div class="choice" role="group" aria-label="Where it comes from">
            <button type="button" aria-pressed={upload} onClick={() => { setUpload(true); setProblem(fine) }}>Upload</button>
            <button type="button" aria-pressed={!upload} onClick={() => { setUpload(false); setProblem(fine) }}>By path</button>
          </div>
          {upload ? (
            <>
              <Drop accept={trustFiles} onFiles={take}>{was && !chosen ? 'Drop a file here to replace it.' : 'Drop one PEM, DER or .p7b file.'}</Drop>
              {chosen && <ul class="files" aria-label="Chosen files"><li><code>{visible(chosen.name)}</code></li></ul>}
              {wrong('files') && <p class="field-note wrong" role="alert">{visible(wrong('files')!)}</p>}
            </>
          ) : (
            <Field label="File" wrong={wrong('file')} note="Read anew whenever it changes.">
              {(a) => <input type="text" {...a} value={file} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="/etc/ssl/corporate-ca.pem" onInput={(e) => { setFile(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
          )}
        </fieldset>
        <fieldset>
          <legend>Trusted for</legend>
          <label class="check"><input type="radio" name="every" checked={every} onChange={() => setEvery(true)} /> every host</label>
          <label class="check"><input type="radio" name="every" checked={!every} onChange={() => setEvery(false)} /> these hosts only</label>
          {!every && (
            <Field label="Host" wrong={wrong('host')} note={meaning(host, true)}>
              {(a) => <input type="text" {...a} value={host} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="*.corp.example" onInput={(e) => { setHost(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
          )}
        </fieldset>
        {!was && <Command text={trustCommand({ host: every ? '' : host, ...(upload ? { name: chosen?.name ?? '' } : { file: file.trim() }) })} />}
        <FormProblem failed={problem} />
        <footer>
          <span class="grow" />
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending}>{was ? 'Save' : 'Trust it'}</button>
        </footer>
      </form>
    </Dialog>
  )
}
