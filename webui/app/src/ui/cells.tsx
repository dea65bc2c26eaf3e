// The cells of a row, one function for each column.

import type { ComponentChildren } from 'preact'
import type { Summary } from '../api/types.ts'
import { shownWords, type Shown } from '../lib/certificate.ts'
import { fix } from '../lib/fix.ts'
import { clock, count, duration, moment, size, typeName } from '../lib/format.ts'
import { cause, outcome, statusText } from '../lib/story.ts'
import { parts } from '../lib/url.ts'
import { clip, visible } from '../lib/visible.ts'
import type { Axis } from '../model/axis.ts'
import type { ColumnId } from '../model/columns.ts'
import { useConsole } from './context.ts'
import { Key, outcomeName, Sign, Star } from './icons.tsx'
import { Text } from './Text.tsx'

export interface CellProps {
  x: Summary
  time: Axis
  spent: number
  /** Whether the certificate has a column of its own. */
  certificate: boolean
}

export const cells: Record<ColumnId, (p: CellProps) => ComponentChildren> = {
  status: ({ x }) => {
    const kind = outcome(x)
    const name = outcomeName[kind]
    return <><Sign of={kind} /><span>{statusText(x)}</span>{name !== statusText(x) && <span class="offscreen">{name}</span>}</>
  },
  method: ({ x }) => visible(clip(x.request.method, 30)),
  host: ({ x }) => {
    const why = clip(cause(x))
    return <><Text text={hostOf(x)} />{why !== '' && <span class="cause stacked"><Text text={why} /></span>}</>
  },
  path: (p) => <Path {...p} />,
  type: ({ x }) => (x.kind === 'websocket' ? 'websocket' : visible(typeName(x.response?.content.mimeType))),
  size: ({ x }) => (x.messages > 0 && x.kind === 'websocket' ? `${count(x.messages)} msg` : size(x.response?.bodySize ?? -1)),
  took: ({ x, spent }) => duration(x.state === 'open' ? Math.round(spent / 100) * 100 : spent),
  fall: (p) => <Fall {...p} />,
  route: ({ x }) => <Text text={route(x)} />,
  certificate: ({ x }) => (x.certificate && briefly[x.certificate as Shown]
    ? <><Mark of={x.certificate as Shown} /> <span aria-hidden="true">{briefly[x.certificate as Shown]}</span></>
    : null),
  client: ({ x }) => <Text text={x.client.run ? `run ${x.client.run}` : x.client.address ?? sources[x.source] ?? '–'} />,
  started: ({ x }) => clock(x.startedDateTime),
  id: ({ x }) => `#${x.id}`,
  protocol: ({ x }) => visible(x.response?.httpVersion || x.request.httpVersion),
  answered: ({ x }) => x.answeredBy ?? '–',
  connection: ({ x }) => (x.connection ? <Text text={x.connection} /> : '–'),
}

/** titles are the cells' words at length, for those that may be cut. */
export const titles: Partial<Record<ColumnId, (x: Summary) => string>> = {
  host: (x) => visible(hostOf(x)),
  path: (x) => {
    const { host, path } = parts(clip(x.request.url, 1500))
    return visible(x.error ? `${path || host}: ${x.error.message}` : path || host)
  },
  route: (x) => visible(route(x)),
  client: (x) => visible([x.client.address, x.client.run ? `run ${x.client.run}` : ''].filter(Boolean).join(', ')),
  started: (x) => moment(x.startedDateTime),
  certificate: (x) => shownWords[x.certificate as Shown] ?? '',
}

const briefly: Partial<Record<Shown, string>> = { accepted: 'accepted', sent: 'sent', rejected: 'rejected', asked: 'asked' }
const sources: Record<string, string> = { replay: 'eaves', compose: 'eaves', import: 'imported' }

function hostOf(x: Summary): string { return parts(clip(x.request.url, 1500)).host }

function route(x: Summary): string {
  if (x.proxies && x.proxies.length > 0) return x.proxies.join(' → ')
  return x.serverIPAddress || x.answeredBy === 'origin' ? 'direct' : '–'
}

function Mark({ of }: { of: Shown }) {
  return <span class={`key ${of}`} title={shownWords[of]}><Key of={of} /><span class="offscreen">{shownWords[of]}</span></span>
}

function Path({ x, certificate }: CellProps) {
  const path = parts(clip(x.request.url, 1500)).path
  const why = clip(cause(x))
  return (
    <>
      {x.mark !== '' && <span class="mark" title={`marked${x.mark === 'marked' ? '' : ': ' + visible(x.mark)}`}><Star filled /><span class="offscreen">marked</span></span>}
      {x.replayOf && x.source === 'replay' ? <span class="tag" title={`sent again from #${x.replayOf}`}>again</span> : null}
      {x.source === 'compose' && <span class="tag">composed</span>}
      {x.answeredBy === 'proxy' && <span class="tag proxy" title="a proxy on the way answered, not the origin">by proxy</span>}
      {!certificate && x.certificate && shownWords[x.certificate as Shown] && <Mark of={x.certificate as Shown} />}
      {(x.kind !== 'tunnel' || why === '') && <span class="path"><Text text={x.kind === 'tunnel' ? 'bytes passed through' : path || '/'} /></span>}
      {why !== '' && <span class="cause"><Text text={why} /></span>}
      <FixButton x={x} />
    </>
  )
}

/** FixButton does what helps with a failure; by keyboard, the action of that name does. */
function FixButton({ x }: { x: Summary }) {
  const app = useConsole()
  const f = fix(x)
  if (!f) return null
  return (
    <button
      type="button" class="fix" tabIndex={-1} title={f.label}
      onPointerDown={(e) => e.stopPropagation()} onClick={(e) => { e.stopPropagation(); app.mend(x) }}
    >{f.short}</button>
  )
}

/** Fall is a row's bar on the shared axis: until the answer began, and from then on. */
function Fall({ x, time, spent }: CellProps) {
  const start = Date.parse(x.startedDateTime)
  const receive = x.state === 'open' ? 0 : Math.min(Math.max(x.timings.receive, 0), spent)
  const a = time.at(start)
  const b = time.at(start + spent - receive)
  const c = time.at(start + spent)
  const percent = (n: number) => `${Math.round(n * 10000) / 100}%`
  return (
    <span class="fall" aria-hidden="true">
      <i class="wait" style={{ left: `min(${percent(a)}, 100% - 2px)`, width: percent(b - a) }} />
      {receive > 0 && <i class="receive" style={{ left: `min(${percent(b)}, 100% - 2px)`, width: percent(c - b) }} />}
    </span>
  )
}
