import * as settings from '../../api/settings.ts'
import type { ClientCertificateEntry } from '../../api/settings.ts'
import { commonName } from '../../lib/certificate.ts'
import { exampleURL } from '../../lib/pattern.ts'
import { visible } from '../../lib/visible.ts'
import { useConsole } from '../context.ts'
import { Edit, Plus, Pulse, Trash } from '../icons.tsx'
import { HostText, Text } from '../Text.tsx'
import { Drop, Expires, Intro, Reading, Switch, Used, useRead, Warnings } from './parts.tsx'

export const certificateFiles = '.p12,.pfx,.pem,.crt,.cer,.key,.der'

/** Certificates lists the client certificates, and takes new ones. */
export function Certificates() {
  const app = useConsole()
  const list = useRead(settings.clientCertificates)
  const entries = list.value ?? []
  return (
    <>
      <Intro
        command="eaves cert add api.example.com --pfx client.p12"
        action={<>
          <button type="button" class="button primary" onClick={() => app.settings('certificates', {})} title="Add a client certificate (a)"><Plus /> Add</button>
          <button type="button" class="button" onClick={() => app.try({ url: '' })} title="Connect to an address and see each stage (t)"><Pulse /> Test an address</button>
        </>}
      >
        Shown to servers that ask for one, by host: the most specific pattern wins, and no other host ever sees it.
      </Intro>
      <Drop accept={certificateFiles} onFiles={(files) => app.settings('certificates', { files })}>Drop a .p12 or .pfx file here, or PEM files.</Drop>
      <Reading list={list} />
      {list.value && entries.length === 0 && <p class="empty">There is no client certificate yet: servers that ask for one get none.</p>}
      {entries.length > 0 && (
        <table class="entries">
          <caption class="offscreen">Client certificates</caption>
          <thead><tr><th scope="col">On</th><th scope="col">Host</th><th scope="col">Certificate</th><th scope="col">Validity</th><th scope="col">Last used</th><th scope="col"><span class="offscreen">Actions</span></th></tr></thead>
          <tbody>{entries.map((c) => <Entry key={c.id} c={c} />)}</tbody>
        </table>
      )}
    </>
  )
}

function Entry({ c }: { c: ClientCertificateEntry }) {
  const app = useConsole()
  const subject = c.certificate?.subject ?? ''
  const name = visible(c.name || commonName(subject) || `certificate ${c.id}`)
  const label = `${name} for ${c.host}`
  const remove = () => (app.confirming.value = {
    text: `Remove the certificate ${name} for ${c.host}? ${c.uploaded ? 'eaves deletes its copy of the file.' : 'The file itself stays where it is.'}`,
    label: 'Remove',
    run: () => void app.change('Removing failed', () => settings.drop('/client-certificates', c.id), `${name} is not shown to ${c.host} any more.`),
  })
  return (
    <tr class={c.enabled ? '' : 'off'}>
      <td class="c-on"><Switch on={c.enabled} name={`Use ${label}`} onChange={() => void app.change('Switching failed', () => settings.change('/client-certificates', c.id, { enabled: !c.enabled }))} /></td>
      <th scope="row" class="c-pattern">
        <code><HostText text={c.host} /></code>
        {c.for === 'proxy' && <span class="tag" title="shown to parent proxies, never to origins">for proxies</span>}
      </th>
      <td class="c-main">
        <p class="strong">{c.name && <><Text text={c.name} /> <span class="dim">· </span></>}<Text text={subject || 'no certificate'} /></p>
        <p class="dim small">
          {c.certificate && <>issued by <Text text={c.certificate.issuer} /></>}{c.key ? ` · ${c.key}` : ''}
          {c.certificate && <> · <span title={`serial ${c.certificate.serial}`}>serial <Text text={short(c.certificate.serial)} /></span></>}
          {(c.chain?.length ?? 0) > 1 && ` · chain of ${c.chain!.length}`}
        </p>
        <p class="dim small wrap">{from(c)}</p>
        <Warnings list={c.warnings} problem={c.problem} hint={c.hint} />
      </td>
      <td class="c-expires">{c.certificate ? <Expires c={c.certificate} /> : <span class="dim">–</span>}</td>
      <td class="c-used">
        <Used use={c.lastAccepted} /><Used use={c.lastRejected} rejected />
        {!c.lastAccepted && !c.lastRejected && <span class="dim">never used</span>}
      </td>
      <td class="c-actions">
        <button type="button" class="tool" aria-label={`Test ${label}`} title="Connect with it and see each stage" onClick={() => app.try({ url: exampleURL(c.host), ...(c.for === 'proxy' ? {} : { certificate: String(c.id) }) })}><Pulse /></button>
        <button type="button" class="tool" aria-label={`Change ${label}`} title="Change" onClick={() => app.settings('certificates', { was: c })}><Edit /></button>
        <button type="button" class="tool" aria-label={`Remove ${label}`} title="Remove" onClick={remove}><Trash /></button>
      </td>
    </tr>
  )
}

function short(serial: string): string {
  return serial.length > 16 ? `${serial.slice(0, 8)}…${serial.slice(-4)}` : serial
}

/** from says where a certificate comes from. */
function from(c: ClientCertificateEntry): string {
  const pass = c.passphrase ? `, passphrase from ${c.passphrase}` : ''
  if (c.token) return visible(`token ${c.token}${pass.replace('passphrase', 'PIN')}`)
  if (c.uploaded) return visible(`uploaded; eaves keeps a copy${pass}`)
  const files = c.pfxFile ? [c.pfxFile] : [c.certificateFile, c.keyFile !== c.certificateFile ? c.keyFile : ''].filter(Boolean)
  return visible(`${files.join(' and ')}${pass}`)
}
