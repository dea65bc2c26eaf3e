import type { Certificate, ClientCertificate, Exchange, TLSReceipt } from '../api/types.ts'
import { commonName, expiry, shown, shownWords, verdictWords } from '../lib/certificate.ts'
import { moment } from '../lib/format.ts'
import { patternFor } from '../lib/pattern.ts'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Cross, Key, Plus, Replay, Tick } from './icons.tsx'
import { Text } from './Text.tsx'

/** Tls shows what was agreed with the origin and with the client, and the certificates. */
export function Tls({ x }: { x: Exchange }) {
  const hops = (x.route?.hops ?? []).filter((h) => h.kind !== 'origin' && h.tls)
  if (!x.tls && !x.clientTLS && hops.length === 0) {
    return <p class="empty">{/^(https|wss):/.test(x.request.url) ? 'No TLS handshake came to an end in this exchange.' : 'This exchange did not use TLS.'}</p>
  }
  return (
    <div class="tls">
      {x.tls && <Receipt x={x} title="With the origin" t={x.tls} host={patternFor(x.request.url.replace(/^tcp:/, 'https:'))} />}
      {hops.map((h, i) => <Receipt key={i} x={x} title={`With the proxy ${h.address}`} t={h.tls!} host="" />)}
      {x.clientTLS && (
        <section>
          <h3>With the client</h3>
          <List rows={[['Version', x.clientTLS.version], ['Cipher', x.clientTLS.cipherSuite], ['ALPN', x.clientTLS.alpn || 'none'], ['Server name', x.clientTLS.serverName || 'none given']]} />
        </section>
      )}
    </div>
  )
}

function Receipt({ x, title, t, host }: { x: Exchange; title: string; t: TLSReceipt; host: string }) {
  return (
    <section>
      <h3>{title}</h3>
      {t.clientCertificate && <ClientReceipt x={x} c={t.clientCertificate} host={host} />}
      <p class={t.verified ? 'verdict good' : 'verdict bad'}>
        {t.verified ? <Tick /> : <Cross />} {t.verified ? 'The certificate was verified.' : `The certificate was not verified${t.verifyError ? `: ${visible(t.verifyError)}` : '.'}`}
        {t.trust ? <span class="dim"> {visible(t.trust)}</span> : null}
      </p>
      <List rows={[
        ['Version', t.version], ['Cipher', t.cipherSuite], ['ALPN', t.alpn || 'none'], ['Server name', t.serverName || 'none sent'], ['Session', t.resumed ? 'resumed' : 'new'],
        ...(t.policy ? [['TLS policy', t.policy]] as [string, string][] : []),
      ]} />
      {(t.peerCertificates ?? []).map((cert, i) => <Cert key={i} cert={cert} title={i === 0 ? 'Certificate' : `Issuer ${i}`} />)}
    </section>
  )
}

/** ClientReceipt proves what became of a client certificate: asked for or not, sent or not, and what the server said. */
function ClientReceipt({ x, c, host }: { x: Exchange; c: ClientCertificate; host: string }) {
  const app = useConsole()
  const state = shown(c)
  const cas = c.acceptableCAs ?? []
  const missing = c.requested && !c.sent && host !== ''
  const rows: [string, string][] = [['Asked for', c.requested ? 'yes' : 'no']]
  if (c.rule) rows.push(['Rule', c.rule])
  else if (c.requested) rows.push(['Rule', 'none matches'])
  if (c.requested) rows.push(['Sent', c.sent ? c.sent.subject : 'none'])
  if (c.sent) rows.push(['Serial', c.sent.serial], ['Issued by', c.sent.issuer], ['Valid', validity(c.sent)], ['SHA-256', c.sent.sha256])
  if (c.requested) rows.push(['Verdict', verdictWords[c.verdict] ? `${c.verdict}: ${verdictWords[c.verdict]}` : c.verdict])
  if (c.alert) rows.push(['Alert', c.alert])
  return (
    <div class={`receipt ${state}`}>
      <h4><Key of={state} /> {capital(shownWords[state])}</h4>
      {c.explanation && <p class="explanation"><Text text={c.explanation} lineBreaks={false} /></p>}
      {c.note && <p class="explanation dim"><Text text={c.note} lineBreaks={false} /></p>}
      {(missing || state === 'rejected' || state === 'accepted') && (
        <p class="buttons">
          {missing && <button type="button" class="button primary" onClick={() => app.settings('certificates', { host })}><Plus /> Add a certificate for {visible(host)}</button>}
          {x.kind !== 'tunnel' && <button type="button" class="button" onClick={() => app.resend()} title="Send this request again with another certificate (R)"><Replay /> Replay as …</button>}
          <button type="button" class="link" onClick={() => app.setFilter(missing ? 'cert.asked -cert.sent' : `cert.verdict:${c.verdict}`)}>{missing ? 'All that were asked and had none' : `All ${c.verdict}`}</button>
        </p>
      )}
      <List rows={rows} />
      {c.requested && (
        <details open={cas.length > 0 && cas.length <= 4}>
          <summary>{cas.length === 0 ? 'The server names no acceptable CAs: any will do for it' : `Acceptable CAs, as the server names them (${cas.length})`}</summary>
          {cas.length > 0 && <ul class="plain-list">{cas.map((ca) => <li key={ca}><Text text={ca} />{c.sent && ca === c.sent.issuer && <span class="tag">issued what was sent</span>}</li>)}</ul>}
        </details>
      )}
      {c.signatureSchemes && c.signatureSchemes.length > 0 && (
        <details>
          <summary>Signature schemes that the server takes ({c.signatureSchemes.length})</summary>
          <p class="wrap small">{c.signatureSchemes.join(', ')}</p>
        </details>
      )}
    </div>
  )
}

function capital(s: string): string {
  return s.slice(0, 1).toUpperCase() + s.slice(1)
}

function validity(c: Certificate): string {
  const e = expiry(c.notBefore, c.notAfter, Date.now())
  const until = c.notBefore ? `${moment(c.notBefore).slice(0, 16)} to ${moment(c.notAfter).slice(0, 16)}` : `until ${moment(c.notAfter).slice(0, 16)}`
  return `${until}, ${e.text}`
}

function Cert({ cert, title }: { cert: Certificate; title: string }) {
  return (
    <details open={title === 'Certificate'}>
      <summary>{title}: <Text text={commonName(cert.subject) || cert.dnsNames?.[0] || cert.serial} /></summary>
      <List rows={[
        ['Subject', cert.subject], ['Names', (cert.dnsNames ?? []).join(', ') || 'none'], ['Issuer', cert.issuer],
        ['Valid', validity(cert)], ['Serial', cert.serial], ['SHA-256', cert.sha256],
      ]} />
    </details>
  )
}

function List({ rows }: { rows: [string, string][] }) {
  return <dl class="facts">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd class="wrap"><Text text={v || '–'} /></dd></div>)}</dl>
}
