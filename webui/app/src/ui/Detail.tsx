// The detail pane: one exchange, told in tabs.

import { useEffect, useRef } from 'preact/hooks'
import type { Exchange } from '../api/types.ts'
import { outcome, statusText } from '../lib/story.ts'
import { parts } from '../lib/url.ts'
import { clip, visible } from '../lib/visible.ts'
import { tabNames as names, tabs, type Tab } from '../model/location.ts'
import { useConsole } from './context.ts'
import { grid } from './focus.ts'
import { Back, Close, Copy, Edit, Key, outcomeName, Replay, Sign, Star, Trash } from './icons.tsx'
import { Messages } from './Messages.tsx'
import { Overview } from './Overview.tsx'
import { Raw } from './Raw.tsx'
import { Request, Response } from './Side.tsx'
import { lazily } from './lazy.tsx'
import { Text } from './Text.tsx'
import { Timing } from './Timing.tsx'
import { Tls } from './Tls.tsx'
import { RouteTab } from './Way.tsx'

/** Tabs that fill the panel and scroll by themselves. */
const filling: readonly Tab[] = ['request', 'response', 'messages', 'raw']

const Replays = lazily(() => import('./Replays.tsx').then((m) => m.Replays))

export function Detail() {
  const app = useConsole()
  const id = app.selected.value
  const x = app.detail.value
  const problem = app.detailProblem.value
  const here = x && x.id === id ? x : undefined
  useFocus()
  return (
    <section class="detail" aria-label={`Exchange ${id ?? ''}`} id="detail">
      {here ? <Loaded x={here} /> : (
        <>
          <header class="title"><BackButton /><h2>#{id}</h2><span class="grow" /><CloseButton /></header>
          <p class="empty" role="status">{problem || 'Loading …'}</p>
        </>
      )}
    </section>
  )
}

/** useFocus moves the focus into the pane where it covers the list, and back to the list when it goes. */
function useFocus(): void {
  useEffect(() => {
    if (window.matchMedia('(max-width: 800px)').matches) document.querySelector<HTMLElement>('#detail .back')?.focus()
    return () => {
      const lost = document.activeElement === document.body || document.activeElement?.closest('#detail')
      if (lost) setTimeout(() => grid()?.focus({ preventScroll: true }))
    }
  }, [])
}

function BackButton() {
  const app = useConsole()
  return <button type="button" class="tool back" aria-label="Back to the list" title="Back to the list" onClick={() => app.select(undefined)}><Back /></button>
}

function CloseButton() {
  const app = useConsole()
  return <button type="button" class="tool close" aria-label="Close" title="Close (Esc)" onClick={() => app.select(undefined)}><Close /></button>
}

function Loaded({ x }: { x: Exchange }) {
  const app = useConsole()
  const { host, path } = parts(clip(x.request.url, 1500))
  const kind = outcome(x)
  const mark = app.current.value?.mark ?? x.mark
  return (
    <>
      <header class="title">
        <BackButton />
        <span class={`status ${kind}`}><Sign of={kind} /> {statusText(x)}<span class="offscreen"> {outcomeName[kind]}</span></span>
        <h2 title={visible(clip(x.request.url, 1500))}><span class="method">{visible(x.request.method)}</span> <Text text={path || host} /></h2>
        <span class="grow" />
        <CloseButton />
      </header>
      <div class="actions" role="toolbar" aria-label="Actions">
        {x.kind !== 'tunnel' && (
          <>
            <button type="button" class="button" onClick={() => void app.replay()} title="Send this request again as it is (r)"><Replay /> Replay</button>
            <button type="button" class="button" onClick={() => app.resend()} title="Send it again with another certificate or another way (R)"><Key of="sent" /> Replay as …</button>
            <button type="button" class="button" onClick={() => app.edit()} title="Change the request and send it (e)"><Edit /> Edit &amp; resend</button>
            <button type="button" class="button" onClick={() => void app.copyCurl()} title="Copy the request as a curl command (c)"><Copy /> Copy as curl</button>
          </>
        )}
        <button type="button" class="button" aria-pressed={mark !== ''} onClick={() => void app.toggleMark()} title="Mark (m)"><Star filled={mark !== ''} /> {mark === '' ? 'Mark' : 'Marked'}</button>
        <button type="button" class="button" onClick={() => app.delete()} title="Delete (x)"><Trash /> Delete</button>
      </div>
      <Tabs x={x} />
    </>
  )
}

function available(x: Exchange): Tab[] {
  return tabs.filter((t) => t !== 'messages' || x.messages > 0 || x.kind === 'websocket' || /event-stream/.test(x.response?.content.mimeType ?? ''))
    .filter((t) => t !== 'replays' || x.kind !== 'tunnel')
}

function Tabs({ x }: { x: Exchange }) {
  const app = useConsole()
  const list = useRef<HTMLDivElement>(null)
  const shown = available(x)
  const tab = shown.includes(app.tab.value) ? app.tab.value : 'overview'
  const move = (e: KeyboardEvent) => {
    const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : e.key === 'Home' ? -shown.indexOf(tab) : e.key === 'End' ? shown.length - 1 - shown.indexOf(tab) : 0
    if (by === 0) return
    e.preventDefault()
    const next = shown[(shown.indexOf(tab) + by + shown.length) % shown.length]!
    app.setTab(next)
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus()
  }
  useEffect(() => { list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }) }, [tab])
  return (
    <>
      <div class="tabs" role="tablist" aria-label="About this exchange" ref={list} onKeyDown={move}>
        {shown.map((t) => (
          <button
            key={t} type="button" role="tab" id={`tab-${t}`} aria-selected={t === tab} aria-controls="panel" tabIndex={t === tab ? 0 : -1}
            onClick={() => app.setTab(t)}
          >{names[t]}{t === 'messages' && x.messages > 0 && <small>{x.messages.toLocaleString('en-US')}</small>}</button>
        ))}
      </div>
      <div class={`panel panel-${tab} ${filling.includes(tab) ? 'filling' : ''}`} role="tabpanel" id="panel" aria-labelledby={`tab-${tab}`} tabIndex={filling.includes(tab) ? -1 : 0}>
        {tab === 'overview' && <Overview x={x} />}
        {tab === 'request' && <Request x={x} />}
        {tab === 'response' && <Response x={x} />}
        {tab === 'messages' && <Messages key={x.id} x={x} />}
        {tab === 'tls' && <Tls x={x} />}
        {tab === 'route' && <RouteTab x={x} />}
        {tab === 'timing' && <Timing x={x} />}
        {tab === 'replays' && <Replays x={x} />}
        {tab === 'raw' && <Raw key={x.id} x={x} />}
      </div>
    </>
  )
}
