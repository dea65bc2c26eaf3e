import { useEffect, useState } from 'preact/hooks'
import type { ClientCertificate, Exchange } from '../api/types.ts'
import { receiptLine, shown } from '../lib/certificate.ts'
import { fix } from '../lib/fix.ts'
import { count, duration, moment, size } from '../lib/format.ts'
import { elapsed, outcome, refusal, story } from '../lib/story.ts'
import { patternFor } from '../lib/pattern.ts'
import { hostname, query } from '../lib/url.ts'
import { visible } from '../lib/visible.ts'
import { asked } from '../lib/way.ts'
import { Pairs } from './bodies.tsx'
import { useConsole } from './context.ts'
import { Key, Plus, Pulse } from './icons.tsx'
import { ErrorText } from './ErrorText.tsx'
import { Hint } from './Hint.tsx'
import { Text } from './Text.tsx'
import { Way } from './Way.tsx'

/** Overview tells what happened, what went wrong and what to do, and the facts. */
export function Overview({ x }: { x: Exchange }) {
  const now = useTick(x.state === 'open')
  const kind = outcome(x)
  const parameters = query(x.request.url)
  const receipt = asked(x)
  return (
    <div class="overview">
      <p class={`story ${kind}`}>{visible(story(x, now))}</p>
      {x.error && <Failure x={x} />}
      {x.tls && !x.tls.verified && x.tls.verifyError && !x.error && (
        <div class="failure mild">
          <p>The origin’s certificate was not verified; it would have failed: {visible(x.tls.verifyError)}</p>
        </div>
      )}
      <Way x={x} />
      {receipt && shown(receipt) !== 'not-asked' && <Identity x={x} c={receipt} />}
      <Facts x={x} now={now} />
      {parameters.length > 0 && (
        <>
          <h3>Query</h3>
          <Pairs rows={parameters} label="Query parameters" />
        </>
      )}
    </div>
  )
}

/** Whether passing the host through, without interception, is what may help: its client does not take our certificate. */
function passingHelps(x: Exchange): boolean {
  return x.error?.stage === 'client' && /^(https|tcp|wss):/.test(x.request.url)
}

function Failure({ x }: { x: Exchange }) {
  const app = useConsole()
  const e = x.error!
  const helps = fix({ ...x, certificate: x.certificate ?? (asked(x) ? shown(asked(x)!) : '') })
  return (
    <div class="failure" role="note">
      <p class="what"><ErrorText text={e.message} /></p>
      {e.hint && <p class="hint"><Hint text={e.hint} /></p>}
      {helps && helps.kind !== 'try' && <p><button type="button" class="button primary" title="H" onClick={() => app.mend(x)}>{helps.label}</button></p>}
      {helps?.kind !== 'pass' && passingHelps(x) && (
        <p><button type="button" class="button" onClick={() => void app.passThrough(x.request.url)}>Pass {visible(hostname(x.request.url))} through</button></p>
      )}
      {testHelps(x) && <p><button type="button" class="button" onClick={() => app.try({ url: x.request.url.replace(/^ws/, 'http') })}><Pulse /> Test this address</button></p>}
    </div>
  )
}

/** Whether trying the address hop by hop tells more: it failed somewhere on the way. */
function testHelps(x: Exchange): boolean {
  return ['route', 'dns', 'connect', 'proxy', 'tls', 'timeout'].includes(x.error?.stage ?? '') && /^(https?|wss?):/.test(x.request.url)
}

/** Identity says in a line what became of the client certificate, and what to do about it. */
function Identity({ x, c }: { x: Exchange; c: ClientCertificate }) {
  const app = useConsole()
  const state = shown(c)
  const host = patternFor(x.request.url.replace(/^tcp:/, 'https:'))
  const own = x.tls?.clientCertificate === c
  return (
    <div class={`receipt ${state}`}>
      <p><Key of={state} /> <strong><Text text={capital(receiptLine(c))} /></strong>.{c.explanation ? <> <Text text={c.explanation} lineBreaks={false} /></> : null}</p>
      <p class="buttons">
        {!c.sent && own && <button type="button" class="button" onClick={() => app.settings('certificates', { host })}><Plus /> Add a certificate for {visible(host)}</button>}
        <button type="button" class="link" onClick={() => app.setTab('tls')}>The whole receipt</button>
      </p>
    </div>
  )
}

function capital(s: string): string {
  return s.slice(0, 1).toUpperCase() + s.slice(1)
}

const sources: Record<string, string> = { proxy: 'through the proxy', replay: 'sent again', compose: 'composed here', import: 'imported' }
const answerers: Record<string, string> = { origin: 'the origin', proxy: 'a proxy on the way', eaves: 'eaves itself' }

function Facts({ x, now }: { x: Exchange; now: number }) {
  const app = useConsole()
  const r = x.response
  const rows: [string, preact.ComponentChildren][] = []
  rows.push(['URL', <span class="wrap"><Text text={x.request.url} /> <CopyButton text={x.request.url} what="URL" /></span>])
  if (x.request.target) rows.push(['Request target', <Text text={x.request.target} />])
  rows.push(['Started', moment(x.startedDateTime)])
  rows.push(['Took', duration(elapsed(x, now))])
  rows.push(['Source', <>{sources[x.source] ?? x.source}{x.replayOf ? <>, a replay of <button type="button" class="link" onClick={() => app.select(x.replayOf)}>#{x.replayOf}</button></> : null}</>])
  if (x.answeredBy) rows.push(['Answered by', <>{answerers[x.answeredBy] ?? x.answeredBy}{refusal(x) ? <>: <Text text={refusal(x)} /></> : null}</>])
  if (x.client.address) rows.push(['Client', <><Text text={x.client.address} />{x.client.httpVersion ? ` · ${x.client.httpVersion}` : ''}{x.client.run ? ` · run ${visible(x.client.run)}` : ''}</>])
  if (x.serverIPAddress) rows.push(['Server', <><Text text={x.serverIPAddress} />{r?.httpVersion ? ` · ${r.httpVersion}` : ''}</>])
  if (x.connection) rows.push(['Connection', <><Text text={x.connection} />{x.reused ? ', used before' : ', new'}</>])
  if (x.route) rows.push(['Route', <Route route={x.route} />])
  rows.push(['Request', sizes(x.request.headersSize, x.request.bodySize)])
  if (r) rows.push(['Response', sizes(r.headersSize, r.bodySize) + (r.truncated ? ', cut' : '')])
  if (x.messages > 0) rows.push(['Messages', count(x.messages)])
  if (x.comment) rows.push(['Comment', <Text text={x.comment} lineBreaks={false} />])
  return (
    <dl class="facts">
      {rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  )
}

function Route({ route }: { route: NonNullable<Exchange['route']> }) {
  const hops = (route.hops ?? []).map((h) => `${h.address}${h.kind === 'origin' ? '' : ` (${h.kind} proxy${h.status ? `, ${h.status}` : ''})`}`)
  return <><Text text={hops.join(' → ') || route.source} />{route.reason || route.source !== 'direct' ? <span class="dim"> · {route.source}{route.reason ? `: ${visible(route.reason)}` : ''}</span> : null}</>
}

function sizes(head: number, body: number): string {
  const h = head >= 0 ? `head ${size(head)}` : ''
  const b = body > 0 ? `body ${size(body)}` : body === 0 ? 'no body' : ''
  return [h, b].filter(Boolean).join(', ') || '–'
}

function CopyButton({ text, what }: { text: string; what: string }) {
  const app = useConsole()
  return <button type="button" class="link" onClick={() => void app.copyText(text, what)}>Copy<span class="offscreen"> {what}</span></button>
}

/** useTick is the time; it moves while on is true. */
export function useTick(on: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!on) return
    const timer = setInterval(() => setNow(Date.now()), 250)
    return () => clearInterval(timer)
  }, [on])
  return now
}
