// What one side said: its head, what is written in it in other words (query, cookies, tokens), and its body.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Exchange, Field, RequestHead, ResponseHead, Side } from '../api/types.ts'
import { basic, cookies, setCookies } from '../lib/cookies.ts'
import { isGraphQL } from '../lib/detect.ts'
import { tokens } from '../lib/jwt.ts'
import { parts, query } from '../lib/url.ts'
import { Body, bodyInfo } from './Body.tsx'
import { Pairs } from './bodies.tsx'
import { Fields } from './Headers.tsx'
import { Chevron } from './icons.tsx'
import { Text } from './Text.tsx'
import { Tokens } from './Tokens.tsx'

export function Request({ x }: { x: Exchange }) {
  const fields = x.request.headers ?? []
  const parameters = query(x.request.url)
  const sent = useMemo(() => cookies(fields), [fields])
  const user = useMemo(() => basic(fields), [fields])
  return (
    <Message x={x} side="request">
      <RequestFields head={x.request} title="Request" />
      {parameters.length > 0 && <Table title="Query" rows={parameters} label="Query parameters" />}
      {parameters.map((p) => p.name === 'query' && isGraphQL(p.value) && <Query key={p.value} text={p.value} />)}
      {sent.length > 0 && <Table title="Cookies" rows={sent} label="Cookies" />}
      {user.length > 0 && <Table title="Basic credentials" rows={user} label="Basic credentials" />}
      <Found fields={fields} more={parameters.map((p) => p.value)} />
      {x.client.request && <RequestFields head={x.client.request} title="Request as the client sent it" />}
    </Message>
  )
}

export function Response({ x }: { x: Exchange }) {
  const r = x.response
  const fields = r?.headers ?? []
  const set = useMemo(() => setCookies(fields), [fields])
  if (!r) return <p class="empty">{x.state === 'open' ? 'There is no answer yet.' : 'There was no answer.'}</p>
  return (
    <Message x={x} side="response">
      {r.informational?.map((i, n) => <Fields key={n} title={`Informational answer ${i.status}${i.statusText ? ' ' + i.statusText : ''}`} fields={i.headers ?? []} />)}
      <ResponseFields head={r} title="Response" />
      {set.length > 0 && <Table title="Cookies set" rows={set} label="Cookies set" />}
      <Found fields={fields} more={[]} />
      {x.client.response && <ResponseFields head={x.client.response} title="Response as the client got it" />}
    </Message>
  )
}

/** Message is a head above a body. The head can be put away, and gives way where there is no body. */
function Message({ x, side, children }: { x: Exchange; side: Side; children: ComponentChildren }) {
  const [shut, setShut] = useState(false)
  const { size } = bodyInfo(x, side)
  if (x.kind === 'tunnel' || (size === 0 && x.state !== 'open')) {
    return (
      <div class="heads whole" role="region" aria-label={`Head of the ${side}`} tabIndex={0}>
        {children}
        {x.kind !== 'tunnel' && <p class="dim nobody">The {side} has no body.</p>}
      </div>
    )
  }
  return (
    <div class="bodies">
      {!shut && <div class="heads" id="heads" role="region" aria-label={`Head of the ${side}`} tabIndex={0}>{children}</div>}
      <Body
        key={`${x.id} ${side}`} x={x} side={side}
        lead={<button type="button" class="button heads-toggle" aria-expanded={!shut} aria-controls="heads" onClick={() => setShut(!shut)}><Chevron open={!shut} /> Head</button>}
      />
    </div>
  )
}

function RequestFields({ head, title }: { head: RequestHead; title: string }) {
  const { path } = parts(head.url)
  return (
    <>
      <Fields title={title} line={`${head.method} ${head.target ?? (path || '/')} ${head.httpVersion}`} fields={head.headers ?? []} />
      {head.trailers && head.trailers.length > 0 && <Fields title={`${title}: trailers`} fields={head.trailers} />}
    </>
  )
}

function ResponseFields({ head, title }: { head: ResponseHead; title: string }) {
  return (
    <>
      <Fields title={title} line={`${head.httpVersion} ${head.status} ${head.statusText}`} fields={head.headers ?? []} />
      {head.trailers && head.trailers.length > 0 && <Fields title={`${title}: trailers`} fields={head.trailers} />}
    </>
  )
}

function Table({ title, rows, label }: { title: string; rows: { name: string; value: string }[]; label: string }) {
  return <section><h3>{title}</h3><Pairs rows={rows} label={label} /></section>
}

/** Query is a GraphQL query that came in the URL, laid out. */
function Query({ text }: { text: string }) {
  const [laid, setLaid] = useState(text)
  useEffect(() => { void import('../lib/graphql.ts').then((m) => setLaid(m.format(text)), () => {}) }, [text])
  return <section><h3>GraphQL</h3><pre class="plain open"><Text text={laid} lineBreaks={false} /></pre></section>
}

/** Found are the tokens that stand in header fields or a query. */
function Found({ fields, more }: { fields: Field[]; more: string[] }) {
  const found = useMemo(() => tokens([...fields.map((f) => f.value), ...more].join('\n')), [fields, more.join()])
  if (found.length === 0) return null
  return <section><h3>{found.length === 1 ? 'Token' : 'Tokens'}</h3><Tokens tokens={found} /></section>
}
