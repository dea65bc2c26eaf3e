// The way an exchange took, drawn: client ⇄ eaves ⇄ hops ⇄ origin. The drawing is a list, and reads as one.

import { Fragment, type ComponentChildren } from 'preact'
import type { Exchange, Hop } from '../api/types.ts'
import { shownWords } from '../lib/certificate.ts'
import { duration } from '../lib/format.ts'
import { patternFor } from '../lib/pattern.ts'
import { visible } from '../lib/visible.ts'
import { asksConnect, draw, sourceWords, type Leg } from '../lib/way.ts'
import { useConsole } from './context.ts'
import { ErrorText } from './ErrorText.tsx'
import { Caution, Cross, Key, Pulse, Tick } from './icons.tsx'
import { HostText, Text } from './Text.tsx'

export function Way({ x }: { x: Exchange }) {
  const d = draw(x)
  if (!d) return null
  return (
    <ol class={`way stations-${Math.min(d.stations.length, 6)}`} aria-label="The way this exchange took">
      {d.stations.map((s, i) => (
        <Fragment key={i}>
          {i > 0 && <LegItem leg={d.legs[i - 1]!} />}
          <li class={`station ${s.role} ${s.state}`}>
            <span class="station-title">{s.state === 'failed' ? <Cross /> : s.state !== 'answered' ? null : s.role === 'proxy' ? <Caution /> : <Tick />}{s.title}</span>
            {s.address !== '' && <span class="station-address" title={visible(s.address)}><HostText text={s.address} /></span>}
            {s.facts.map((f) => <span key={f} class="station-fact"><Text text={f} /></span>)}
          </li>
        </Fragment>
      ))}
    </ol>
  )
}

function LegItem({ leg }: { leg: Leg }) {
  return (
    <li class={`leg ${leg.state}`}>
      <span class="offscreen">{leg.state === 'idle' ? 'not tried' : leg.state === 'bad' ? 'did not come about' : 'connected by'} </span>
      <span class="leg-line" aria-hidden="true">{leg.state === 'bad' ? <Cross /> : null}</span>
      <span class="leg-facts">
        {leg.facts.map((f) => <span key={f}><Text text={f} /></span>)}
        {leg.certificate && leg.certificate.state !== 'not-asked' && <span class={`leg-key ${leg.certificate.state}`} title={shownWords[leg.certificate.state]}><Key of={leg.certificate.state} /> <Text text={leg.certificate.text} /></span>}
      </span>
    </li>
  )
}

/** RouteTab tells why this way, and every hop of it. */
export function RouteTab({ x }: { x: Exchange }) {
  const app = useConsole()
  const r = x.route
  const canTest = /^(https?|wss?):/.test(x.request.url)
  const url = x.request.url.replace(/^ws/, 'http')
  const host = patternFor(url)
  return (
    <div class="route">
      <Way x={x} />
      {!r ? <p class="empty">{x.state === 'open' ? 'The way is not known yet.' : 'No way was taken: nothing was sent.'}</p> : (
        <>
          <section>
            <h3>Why this way</h3>
            <dl class="facts">
              <div><dt>Decided by</dt><dd>{sourceWords(r.source)}</dd></div>
              {r.reason && <div><dt>Because</dt><dd class="wrap"><Text text={r.reason} /></dd></div>}
              {x.answeredBy && <div><dt>Answered by</dt><dd>{x.answeredBy === 'origin' ? 'the origin' : x.answeredBy === 'proxy' ? <strong>a proxy on the way, not the origin</strong> : 'eaves itself'}</dd></div>}
            </dl>
          </section>
          {(r.hops ?? []).map((h, i) => <HopSection key={i} h={h} n={i + 1} x={x} />)}
        </>
      )}
      <div class="buttons">
        {canTest && <button type="button" class="button" onClick={() => app.try({ url })}><Pulse /> Test this address</button>}
        {host !== '' && <button type="button" class="button" onClick={() => app.settings('routes', { host })}>Add a route for {visible(host)}</button>}
        <button type="button" class="link" onClick={() => app.settings('routes')}>All routes</button>
      </div>
    </div>
  )
}

function HopSection({ h, n, x }: { h: Hop; n: number; x: Exchange }) {
  const rows: [string, ComponentChildren][] = [['Address', <Text text={h.address} />]]
  if (h.reused) rows.push(['Connection', 'a kept one, used before'])
  if (h.dns >= 0 && !h.reused) rows.push(['Name lookup', duration(h.dns)])
  if (h.connect >= 0 && !h.reused) rows.push(['Connecting', duration(h.connect)])
  if ((h.time ?? 0) > 0) rows.push(['In all', duration(h.time)])
  if (h.status) rows.push([asksConnect(x, h) ? 'CONNECT answered' : 'Answered', <span class={h.status >= 300 ? 'bad-text' : ''}>{h.status}{h.statusText ? ' ' + visible(h.statusText) : ''}{h.status === 407 ? ', it wants authentication' : ''}</span>])
  if (h.authentication) rows.push(['Authentication', h.authentication])
  const t = h.kind === 'origin' ? undefined : h.tls
  if (t) rows.push(['TLS', `${t.version}${t.verified ? ', verified' : ', not verified'}`])
  if (h.error) rows.push(['Failed', <span class="bad-text plain"><ErrorText text={h.error} /></span>])
  if (h.kind === 'origin' && x.serverIPAddress && !h.address.startsWith(x.serverIPAddress)) rows.push(['Server', <Text text={x.serverIPAddress} />])
  return (
    <section>
      <h3>{h.kind === 'origin' ? 'Origin' : `Hop ${n}: ${visible(h.kind)} proxy`}</h3>
      <dl class="facts">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd class="wrap">{v}</dd></div>)}</dl>
      {h.responseHeaders && h.responseHeaders.length > 0 && (
        <details>
          <summary>Header fields of its answer{asksConnect(x, h) ? ' to CONNECT' : ''}</summary>
          <table class="pairs fields">
            <caption class="offscreen">The proxy’s answer</caption>
            <tbody>{h.responseHeaders.map((f, i) => <tr key={i}><th scope="row"><Text text={f.name} /></th><td><Text text={f.value} /></td></tr>)}</tbody>
          </table>
        </details>
      )}
    </section>
  )
}
