import { useEffect, useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { ClientCertificateEntry, ClientCertificateInput } from '../../api/settings.ts'
import { certificateCommand } from '../../lib/command.ts'
import { meaning, patternProblem } from '../../lib/pattern.ts'
import { read, sort, whatName, type Sorted } from '../../lib/upload.ts'
import { visible } from '../../lib/visible.ts'
import { message, type Form } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Dialog } from '../dialogs.tsx'
import { Command } from '../Command.tsx'
import { certificateFiles } from './Certificates.tsx'
import { Drop, failed, Field, fine, FormProblem } from './parts.tsx'

type From = 'upload' | 'path' | 'token'

/** The fields of the form, and what of the API's each is about. */
const fields = {
  host: ['host'], files: ['pfxData', 'certificateData', 'keyData'], pfx: ['pfxFile'], cert: ['certificateFile'], key: ['keyFile'], token: ['token'],
  secret: ['secret', 'passphrase'], name: ['name'],
} as const

/** CertificateForm adds a client certificate, or changes one. */
export function CertificateForm({ form }: { form: Form }) {
  const app = useConsole()
  const was = form.was as ClientCertificateEntry | undefined
  const [host, setHost] = useState(was?.host ?? form.host ?? '')
  const [whom, setWhom] = useState(was?.for || 'origin')
  const [name, setName] = useState(was?.name ?? '')
  const [from, setFrom] = useState<From>(!was || was.uploaded ? 'upload' : was.token ? 'token' : 'path')
  const [sorted, setSorted] = useState<Sorted | undefined>(undefined)
  const [path, setPath] = useState(was && !was.uploaded ? paths(was) : { cert: '', key: '' })
  const [token, setToken] = useState(was?.token ?? '')
  const [typed, setTyped] = useState(!was?.passphrase || was.passphrase.startsWith('vault:'))
  const [secret, setSecret] = useState('')
  const [reference, setReference] = useState(was?.passphrase ?? '')
  const [problem, setProblem] = useState(fine)
  const [touched, setTouched] = useState(false)
  const [sending, setSending] = useState(false)
  const close = () => (app.form.value = undefined)

  const take = (files: File[]) => {
    setFrom('upload')
    setProblem(fine)
    read(files).then((chosen) => setSorted(sort(chosen)), (e) => setProblem({ at: { files: message(e) }, rest: '' }))
  }
  useEffect(() => { if (form.files) take(form.files) }, [form.files])

  const isPFX = /\.(p12|pfx)$/i.test(path.cert.trim())
  const input = (): ClientCertificateInput => {
    const o: ClientCertificateInput = { host: host.trim(), for: whom, name: name.trim() }
    if (from === 'upload' && sorted) Object.assign(o, sorted.input)
    // What has not changed is left out: it keeps its value.
    const p = { cert: path.cert.trim(), key: path.key.trim() }
    if (from === 'path' && isPFX && p.cert !== (was?.pfxFile ?? '')) o.pfxFile = p.cert
    if (from === 'path' && !isPFX) {
      if (p.cert !== (was?.certificateFile ?? '')) o.certificateFile = p.cert
      if (p.key !== '' && p.key !== (was?.keyFile ?? '')) o.keyFile = p.key
    }
    if (from === 'token' && token.trim() !== (was?.token ?? '')) o.token = token.trim()
    if (typed && secret !== '') o.secret = secret
    if (!typed && reference.trim() !== (was?.passphrase ?? '')) o.passphrase = reference.trim()
    return o
  }
  const missing = (): Record<string, string> => {
    const at: Record<string, string> = {}
    const wrong = patternProblem(host)
    if (wrong) at.host = wrong
    if (from === 'upload' && (sorted?.problem || (!sorted && !was))) at.files = sorted?.problem || 'Choose a file.'
    if (from === 'path' && path.cert.trim() === '') at.cert = 'Name the file, by its whole path.'
    if (from === 'token' && !/^pkcs11:/i.test(token.trim())) at.token = 'A token is named by a URI that begins with pkcs11:'
    return at
  }
  const early = missing()
  const wrong = (f: string): string | undefined => problem.at[f] ?? (touched || (f === 'host' && host !== '') || (f === 'files' && sorted) ? early[f] : undefined)

  const submit = async () => {
    setTouched(true)
    if (Object.keys(early).length > 0) return
    setSending(true)
    try {
      if (was) {
        await settings.change('/client-certificates', was.id, input())
        app.say(`The certificate for ${host.trim()} was changed.`)
      } else {
        const c = await settings.addClientCertificate(input())
        const warned = c.warnings?.length ? ` Mind: ${c.warnings.map((w) => w.message).join('; ')}` : ''
        app.say(`${host.trim()} is shown this certificate from now on.${warned}`)
      }
      setSecret('')
      app.settled.value++
      close()
    } catch (e) {
      const shown = failed(e, from === 'path' && isPFX ? { ...fields, cert: ['pfxFile', 'certificateFile'] } : fields)
      // A passphrase that is missing or wrong is told at the field where it is typed.
      setProblem(/passphrase|password/i.test(message(e)) && Object.keys(shown.at).every((k) => k === 'files' || k === 'pfx' || k === 'cert' || k === 'key') ? { at: { secret: message(e) }, rest: '' } : shown)
    } finally {
      setSending(false)
    }
  }

  const uploaded = sorted?.files.find((f) => f.what === 'pfx')?.name
  return (
    <Dialog title={was ? `Client certificate for ${visible(was.host)}` : 'Add a client certificate'} onClose={close} class="settings-form">
      <form onSubmit={(e) => { e.preventDefault(); void submit() }} noValidate>
        <div class="line-one">
          <Field label="Host" grow wrong={wrong('host')} note={meaning(host, false) || 'Port 443 unless you name another, :* for any. *.example.com is every host below it.'}>
            {(a) => <input type="text" {...a} value={host} autofocus spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="api.example.com" onInput={(e) => { setHost(e.currentTarget.value); setProblem(fine) }} />}
          </Field>
          <Field label="Shown to">
            {(a) => <select {...a} value={whom} onChange={(e) => setWhom(e.currentTarget.value)}><option value="origin">origins</option><option value="proxy">parent proxies</option></select>}
          </Field>
        </div>
        <fieldset>
          <legend>Certificate and key</legend>
          <div class="choice" role="group" aria-label="Where it comes from">
            {([['upload', 'Upload'], ['path', 'By path'], ['token', 'PKCS#11 token']] as [From, string][]).map(([k, label]) => (
              <button key={k} type="button" aria-pressed={from === k} onClick={() => { setFrom(k); setProblem(fine) }}>{label}</button>
            ))}
          </div>
          {from === 'upload' && (
            <>
              <Drop accept={certificateFiles} onFiles={take}>{was && !sorted ? 'Drop files here to replace the certificate.' : 'Drop one .p12 or .pfx file, or PEM files.'}</Drop>
              {sorted && <ul class="files" aria-label="Chosen files">{sorted.files.map((f, i) => <li key={i}><code>{visible(f.name)}</code> <span class="dim">{whatName[f.what]}</span></li>)}</ul>}
              {wrong('files') ? <p class="field-note wrong" role="alert">{visible(wrong('files')!)}</p> : <p class="field-note">eaves keeps a copy that only you can read.</p>}
            </>
          )}
          {from === 'path' && (
            <div class="line-one">
              <Field label="Certificate (PEM) or PKCS#12 file" grow wrong={wrong('cert')} note="Read anew whenever it changes: renewals need no restart.">
                {(a) => <input type="text" {...a} value={path.cert} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="/home/me/client.p12" onInput={(e) => { setPath({ ...path, cert: e.currentTarget.value }); setProblem(fine) }} />}
              </Field>
              {!isPFX && (
                <Field label="Key, if in a file of its own" grow wrong={wrong('key')}>
                  {(a) => <input type="text" {...a} value={path.key} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="/home/me/client.key" onInput={(e) => { setPath({ ...path, key: e.currentTarget.value }); setProblem(fine) }} />}
                </Field>
              )}
            </div>
          )}
          {from === 'token' && (
            <Field label="Token" wrong={wrong('token')} note="The key never leaves the token.">
              {(a) => <input type="text" {...a} value={token} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="pkcs11:token=work;object=client?module-path=/usr/lib/…/libsofthsm2.so" onInput={(e) => { setToken(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
          )}
        </fieldset>
        <div class="line-one">
          {typed ? (
            <Field label={from === 'token' ? 'PIN' : 'Passphrase'} grow wrong={wrong('secret')}
              note={<>{was?.passphrase ? `Kept as ${was.passphrase}; type to replace it. ` : sorted?.locked ? 'These files want one. ' : 'Leave it empty if there is none. '}Sealed at once, never shown again. <button type="button" class="link" onClick={() => setTyped(false)}>Use a reference</button></>}>
              {(a) => <input type="password" {...a} value={secret} autocomplete="new-password" onInput={(e) => { setSecret(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
          ) : (
            <Field label="Reference to the passphrase" grow wrong={wrong('secret')}
              note={<>env:NAME, file:PATH, cmd:COMMAND or vault:NAME. <button type="button" class="link" onClick={() => setTyped(true)}>Type it in</button></>}>
              {(a) => <input type="text" {...a} value={reference} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="env:CLIENT_PASSPHRASE" onInput={(e) => { setReference(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
          )}
          <Field label={<>Label <span class="dim">· optional</span></>} grow wrong={wrong('name')}>
            {(a) => <input type="text" {...a} value={name} autocomplete="off" placeholder="Alice, test bank" onInput={(e) => setName(e.currentTarget.value)} />}
          </Field>
        </div>
        {!was && (
          <Command text={certificateCommand({ host, for: whom, name, ...(typed ? {} : { passphrase: reference }), ...(from === 'path' ? (isPFX ? { pfxFile: path.cert } : { certificateFile: path.cert, keyFile: path.key }) : from === 'token' ? { token } : {}) }, fileNames(from === 'upload' ? sorted : undefined, uploaded))} />
        )}
        <FormProblem failed={problem} />
        <footer>
          <span class="grow" />
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending}>{sending ? 'Checking …' : was ? 'Save' : 'Add certificate'}</button>
        </footer>
      </form>
    </Dialog>
  )
}

/** paths are the files of a certificate that is read where it lies. */
function paths(c: ClientCertificateEntry): { cert: string; key: string } {
  return { cert: c.pfxFile || c.certificateFile || '', key: c.pfxFile || c.keyFile === c.certificateFile ? '' : (c.keyFile ?? '') }
}

function fileNames(s: Sorted | undefined, pfx: string | undefined): { pfx?: string; cert?: string; key?: string } {
  if (pfx) return { pfx }
  const cert = s?.files.find((f) => f.what === 'certificate' || f.what === 'both')?.name
  const key = s?.files.find((f) => f.what === 'key')?.name
  return { ...(cert ? { cert } : {}), ...(key ? { key } : {}) }
}
