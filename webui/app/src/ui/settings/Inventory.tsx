import { useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { InventoryEntry } from '../../api/settings.ts'
import { commonName, expiry } from '../../lib/certificate.ts'
import { visible } from '../../lib/visible.ts'
import { useConsole } from '../context.ts'
import { HostText, Text } from '../Text.tsx'
import { Expires, Intro, Reading, Used, useRead, Warnings } from './parts.tsx'

const kinds: Record<string, string> = { client: 'client', server: 'server', ca: 'CA', eaves: 'of eaves' }

/** Inventory lists every certificate that is configured or was seen. */
export function Inventory() {
  const list = useRead(settings.inventory)
  const [kind, setKind] = useState('')
  const all = list.value ?? []
  const shown = all.filter((c) => kind === '' || c.kind === kind)
  const due = all.filter((c) => expiry(c.notBefore, c.notAfter, Date.now()).level !== 'good').length
  return (
    <>
      <Intro command="eaves cert inventory">Every certificate that is configured here or that a server has shown, with what it is used for and when it ends.</Intro>
      <Reading list={list} />
      {list.value && all.length === 0 && <p class="empty">No certificate is configured, and no server has shown one yet.</p>}
      {all.length > 0 && (
        <>
          <div class="tools inventory-tools">
            <div class="choice" role="group" aria-label="Kind of certificate">
              {['', 'client', 'server', 'ca', 'eaves'].filter((k) => k === '' || all.some((c) => c.kind === k)).map((k) => (
                <button key={k} type="button" aria-pressed={k === kind} onClick={() => setKind(k)}>{k === '' ? 'All' : kinds[k]} <small>{k === '' ? all.length : all.filter((c) => c.kind === k).length}</small></button>
              ))}
            </div>
            <span class="dim">{due === 0 ? 'None expires within 30 days.' : `${due} expired or about to.`}</span>
          </div>
          <table class="entries inventory">
            <caption class="offscreen">Certificates</caption>
            <thead><tr><th scope="col">Kind</th><th scope="col">Subject</th><th scope="col">Validity</th><th scope="col">Used</th></tr></thead>
            <tbody>{shown.map((c) => <Row key={`${c.kind} ${c.sha256}`} c={c} />)}</tbody>
          </table>
        </>
      )}
    </>
  )
}

function Row({ c }: { c: InventoryEntry }) {
  const app = useConsole()
  return (
    <tr>
      <td class="c-kind">{kinds[c.kind] ?? c.kind}</td>
      <th scope="row" class="c-main">
        <p class="strong"><Text text={commonName(c.subject) || c.dnsNames?.[0] || c.serial} /></p>
        <p class="dim small">issued by <Text text={commonName(c.issuer)} /> · <span title={`SHA-256 ${visible(c.sha256)}`}>serial <Text text={c.serial.length > 16 ? `${c.serial.slice(0, 8)}…${c.serial.slice(-4)}` : c.serial} /></span></p>
        <Warnings list={c.warnings} />
      </th>
      <td class="c-expires"><Expires c={c} /></td>
      <td class="c-used">
        {c.usedBy?.map((u) => <p key={u}><Text text={u.slice(0, u.lastIndexOf(' ') + 1)} /><HostText text={u.slice(u.lastIndexOf(' ') + 1)} /></p>)}
        <Used use={c.lastAccepted} /><Used use={c.lastRejected} rejected />
        {c.seen && !c.lastAccepted && !c.lastRejected && <p class="dim">seen at <HostText text={c.seen.host} />{c.seen.exchange ? <> <button type="button" class="link" onClick={() => { app.page.value = 'traffic'; app.select(c.seen!.exchange) }}>#{c.seen.exchange}</button></> : null}</p>}
      </td>
    </tr>
  )
}
