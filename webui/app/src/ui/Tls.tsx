import type { Certificate, Exchange, TLSReceipt } from '../api/types.ts'
import { moment } from '../lib/format.ts'
import { Text } from './Text.tsx'
import { visible } from '../lib/visible.ts'

/** Tls shows what was agreed with the origin and with the client, and the certificates. */
export function Tls({ x }: { x: Exchange }) {
  const hops = (x.route?.hops ?? []).filter((h) => h.kind !== 'origin' && h.tls)
  if (!x.tls && !x.clientTLS && hops.length === 0) {
    return <p class="empty">{/^(https|wss):/.test(x.request.url) ? 'No TLS handshake came to an end in this exchange.' : 'This exchange did not use TLS.'}</p>
  }
  return (
    <div class="tls">
      {x.tls && <Receipt title="With the origin" t={x.tls} />}
      {hops.map((h, i) => <Receipt key={i} title={`With the proxy ${h.address}`} t={h.tls!} />)}
      {x.clientTLS && (
        <section>
          <h3>With the client</h3>
          <List rows={[['Version', x.clientTLS.version], ['Cipher', x.clientTLS.cipherSuite], ['ALPN', x.clientTLS.alpn || 'none'], ['Server name', x.clientTLS.serverName || 'none given']]} />
        </section>
      )}
    </div>
  )
}

function Receipt({ title, t }: { title: string; t: TLSReceipt }) {
  const c = t.clientCertificate
  return (
    <section>
      <h3>{title}</h3>
      <p class={t.verified ? 'verdict good' : 'verdict bad'}>
        {t.verified ? '✓ The certificate was verified.' : `✕ The certificate was not verified${t.verifyError ? `: ${visible(t.verifyError)}` : '.'}`}
      </p>
      <List rows={[
        ['Version', t.version], ['Cipher', t.cipherSuite], ['ALPN', t.alpn || 'none'], ['Server name', t.serverName || 'none sent'], ['Session', t.resumed ? 'resumed' : 'new'],
      ]} />
      {c && (
        <>
          <h4>Client certificate</h4>
          <List rows={[
            ['Asked for', c.requested ? 'yes' : 'no'],
            ...(c.requested ? [['Verdict', c.verdict]] as [string, string][] : []),
            ...(c.rule ? [['Rule', c.rule]] as [string, string][] : []),
            ...(c.sent ? [['Sent', c.sent.subject]] as [string, string][] : c.requested ? [['Sent', 'none']] as [string, string][] : []),
            ...(c.alert ? [['Alert', c.alert]] as [string, string][] : []),
            ...(c.explanation ? [['Meaning', c.explanation]] as [string, string][] : []),
            ...(c.acceptableCAs?.length ? [['Acceptable CAs', c.acceptableCAs.join('; ')]] as [string, string][] : []),
          ]} />
        </>
      )}
      {(t.peerCertificates ?? []).map((cert, i) => <Cert key={i} cert={cert} title={i === 0 ? 'Certificate' : `Issuer ${i}`} />)}
    </section>
  )
}

function Cert({ cert, title }: { cert: Certificate; title: string }) {
  const expired = Date.parse(cert.notAfter) < Date.now()
  return (
    <details open={title === 'Certificate'}>
      <summary>{title}: <Text text={cert.subject || cert.dnsNames?.[0] || cert.serial} /></summary>
      <List rows={[
        ['Subject', cert.subject], ['Names', (cert.dnsNames ?? []).join(', ') || 'none'], ['Issuer', cert.issuer],
        ['Valid', `${moment(cert.notBefore).slice(0, 16)} to ${moment(cert.notAfter).slice(0, 16)}${expired ? ', expired' : ''}`],
        ['Serial', cert.serial], ['SHA-256', cert.sha256],
      ]} />
    </details>
  )
}

function List({ rows }: { rows: [string, string][] }) {
  return <dl class="facts">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd class="wrap"><Text text={v || '–'} /></dd></div>)}</dl>
}
