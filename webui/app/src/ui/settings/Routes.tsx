import { useEffect, useState } from 'preact/hooks'
import * as settings from '../../api/settings.ts'
import type { DefaultRoute, RouteRule } from '../../api/settings.ts'
import { defaultRouteCommand } from '../../lib/command.ts'
import { exampleURL } from '../../lib/pattern.ts'
import { readVia, viaWords, wayProblem, writeVia, type Way } from '../../lib/via.ts'
import { visible } from '../../lib/visible.ts'
import { useConsole } from '../context.ts'
import { Command } from '../Command.tsx'
import { Down, Edit, Plus, Pulse, Trash, Up } from '../icons.tsx'
import { HostText, Text } from '../Text.tsx'
import { failed, Field, fine, FormProblem, Intro, Reading, Switch, useRead, Warnings } from './parts.tsx'
import { WayEditor } from './WayEditor.tsx'

/** RoutesSection lists the routes in their order, and what holds where none matches. */
export function RoutesSection() {
  const app = useConsole()
  const list = useRead(settings.routes)
  const routes = list.value?.routes ?? []
  const move = (r: RouteRule, to: number) => {
    if (to < 0 || to >= routes.length) return
    void app.change('Moving failed', () => settings.change('/routes', r.id, { position: to })).then(() => {
      app.spoken.value = `${r.host} is now number ${to + 1}`
    })
  }
  return (
    <>
      <Intro
        command="eaves route add '*.corp.example' --via http://proxy.corp.example:3128"
        action={<>
          <button type="button" class="button primary" onClick={() => app.settings('routes', {})} title="Add a route (a)"><Plus /> Add</button>
          <button type="button" class="button" onClick={() => app.try({ url: '' })} title="Connect to an address and see each stage (t)"><Pulse /> Test an address</button>
        </>}
      >
        Which proxies requests go through, by host. The first route that matches decides; what is under way goes on as it began.
      </Intro>
      <Reading list={list} />
      {list.value && (
        <table class="entries ordered">
          <caption class="offscreen">Routes, in order</caption>
          <thead><tr><th scope="col">On</th><th scope="col">Host</th><th scope="col">Way</th><th scope="col"><span class="offscreen">Order and actions</span></th></tr></thead>
          <tbody>
            {routes.map((r, i) => <Entry key={r.id} r={r} at={i} last={routes.length - 1} onMove={(to) => move(r, to)} />)}
            <tr class="otherwise">
              <td class="c-on" />
              <th scope="row" class="c-pattern">all others</th>
              <td class="c-main">{list.value.default ? viaWords(list.value.default.upstreamProxy) : 'directly, through no proxy'}</td>
              <td class="c-actions" />
            </tr>
          </tbody>
        </table>
      )}
      {list.value?.default && <Default key={JSON.stringify(list.value.default)} value={list.value.default} />}
    </>
  )
}

function Entry({ r, at, last, onMove }: { r: RouteRule; at: number; last: number; onMove: (to: number) => void }) {
  const app = useConsole()
  const remove = () => (app.confirming.value = {
    text: `Remove the route for ${r.host}? Requests to it then go the way of the next route that matches.`,
    label: 'Remove',
    run: () => void app.change('Removing failed', () => settings.drop('/routes', r.id), `The route for ${r.host} was removed.`),
  })
  const chain = readVia(r.via)
  return (
    <tr class={r.enabled ? '' : 'off'} onKeyDown={(e) => {
      if (!e.altKey || (e.key !== 'ArrowUp' && e.key !== 'ArrowDown')) return
      e.preventDefault()
      onMove(at + (e.key === 'ArrowUp' ? -1 : 1))
    }}>
      <td class="c-on"><Switch on={r.enabled} name={`Use the route for ${r.host}`} onChange={() => void app.change('Switching failed', () => settings.change('/routes', r.id, { enabled: !r.enabled }))} /></td>
      <th scope="row" class="c-pattern"><code><HostText text={r.host} /></code></th>
      <td class="c-main">
        {chain.kind === 'proxies'
          ? <ol class="chain">{chain.proxies.map((p, i) => <li key={i}><code><HostText text={p} /></code></li>)}</ol>
          : <p><Text text={viaWords(r.via)} /></p>}
        {(r.user || r.passwordSet) && (
          <p class="dim small">{r.user ? <>as <Text text={r.user} /></> : 'authenticated'}{r.passwordSet ? `, password ${r.password ? `from ${visible(r.password)}` : 'kept'}` : ', no password'}{r.schemes?.length ? `, by ${r.schemes.join(', ')}` : ''}</p>
        )}
        <Warnings list={r.warnings} />
      </td>
      <td class="c-actions">
        <button type="button" class="tool" aria-label={`Move the route for ${r.host} up`} title="Earlier (Alt+↑)" disabled={at === 0} onClick={() => onMove(at - 1)}><Up /></button>
        <button type="button" class="tool" aria-label={`Move the route for ${r.host} down`} title="Later (Alt+↓)" disabled={at === last} onClick={() => onMove(at + 1)}><Down /></button>
        <button type="button" class="tool" aria-label={`Test the route for ${r.host}`} title="Connect through it and see each stage" onClick={() => app.try({ url: exampleURL(r.host) })}><Pulse /></button>
        <button type="button" class="tool" aria-label={`Change the route for ${r.host}`} title="Change" onClick={() => app.settings('routes', { was: r })}><Edit /></button>
        <button type="button" class="tool" aria-label={`Remove the route for ${r.host}`} title="Remove" onClick={remove}><Trash /></button>
      </td>
    </tr>
  )
}

const origins: Record<string, string> = {
  flag: 'a flag of eaves run (--upstream-proxy, --bypass)', environment: 'an environment variable (EAVES_UPSTREAM_PROXY, EAVES_BYPASS)', file: 'eaves.yaml', default: 'nobody yet: this is the default', settings: 'this page',
}

/** Default is what holds where no route matches: a way, and the hosts that are reached without it. */
function Default({ value }: { value: DefaultRoute }) {
  const app = useConsole()
  const [way, setWay] = useState<Way>(() => readVia(value.upstreamProxy))
  const [bypass, setBypass] = useState(value.bypass ?? '')
  const [problem, setProblem] = useState(fine)
  const [touched, setTouched] = useState(false)
  useEffect(() => { setProblem(fine) }, [way, bypass])
  const changed = JSON.stringify(writeVia(way)) !== JSON.stringify(writeVia(readVia(value.upstreamProxy))) || bypass.trim() !== (value.bypass ?? '').trim()
  if (value.locked) {
    return (
      <section class="default locked" aria-labelledby="default-title">
        <h3 id="default-title">All other hosts</h3>
        <p><strong>Locked:</strong> set by {origins[value.source] ?? value.source}, which wins over this page. Change it there, or take it out there to set it here.</p>
        <dl class="facts">
          <div><dt>Way</dt><dd><Text text={viaWords(value.upstreamProxy)} /></dd></div>
          <div><dt>Bypass</dt><dd>{value.bypass ? <code><Text text={value.bypass} /></code> : 'none'}</dd></div>
        </dl>
      </section>
    )
  }
  const save = async () => {
    setTouched(true)
    if (wayProblem(way)) return
    try {
      await settings.setDefaultRoute({ upstreamProxy: writeVia(way), bypass: bypass.trim() })
      app.say('Saved. It holds from the next connection on.')
      app.settled.value++
    } catch (e) {
      setProblem(failed(e, { way: ['upstreamProxy', 'via'], bypass: ['bypass'] }))
    }
  }
  return (
    <section class="default" aria-labelledby="default-title">
      <h3 id="default-title">All other hosts</h3>
      <form onSubmit={(e) => { e.preventDefault(); void save() }} noValidate>
        <WayEditor way={way} onChange={setWay} strict={touched} problem={problem.at.way} label="Way where no route matches" />
        <Field label="Bypass: reached directly" wrong={problem.at.bypass}
          note={<>Hosts, .suffixes, *.wildcards, networks (10.0.0.0/8), ports (host:8080), {'<local>'}; separated by commas. <a href="#/settings/bypass" onClick={(e) => { e.preventDefault(); app.settings('bypass') }}>Entry by entry</a></>}>
          {(a) => <input type="text" {...a} value={bypass} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="<local>, .corp.example, 10.0.0.0/8" onInput={(e) => setBypass(e.currentTarget.value)} />}
        </Field>
        <Command text={defaultRouteCommand(writeVia(way), bypass)} />
        <FormProblem failed={problem} />
        <div class="buttons">
          <button type="submit" class="button primary" disabled={!changed}>Save</button>
          <button type="button" class="button" onClick={() => app.try({ way: { via: writeVia(way), bypass: bypass.trim() }, url: '', title: 'Test this way before it is saved' })}><Pulse /> Test before saving</button>
          <span class="dim">Set by {origins[value.source] ?? value.source}.</span>
        </div>
      </form>
    </section>
  )
}
