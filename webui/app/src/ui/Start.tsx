// Getting started: how to send traffic through eaves, and how far one has come with it.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { onboarding, type DeviceAddress, type Onboarding } from '../api/onboarding.ts'
import { quote } from '../lib/curl.ts'
import { environment, shells, type Shell } from '../lib/environment.ts'
import { device, spoken, steps, type Step } from '../lib/progress.ts'
import { Command } from './Command.tsx'
import { useConsole } from './context.ts'
import { Back, Copy, Cross, Tick } from './icons.tsx'

/** How often who has come is asked for, while somebody looks. */
const pace = 1000

/** useOnboarding asks who has come, for as long as it is shown. */
function useOnboarding(): Onboarding | undefined {
  const [state, setState] = useState<Onboarding | undefined>(undefined)
  useEffect(() => {
    const gone = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      if (!document.hidden) {
        try {
          const got = await onboarding(gone.signal)
          setState((was) => (JSON.stringify(was) === JSON.stringify(got) ? was : got))
        } catch {
          // What is shown stays until the server answers again.
        }
      }
      if (!gone.signal.aborted) timer = setTimeout(() => void ask(), pace)
    }
    void ask()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }, [])
  return state
}

/** StartPage is the page with an address of its own. */
export function StartPage() {
  const app = useConsole()
  return (
    <main class="page">
      <div class="start">
        <header class="page-title">
          <button type="button" class="tool" aria-label="Back to the traffic" title="Back to the traffic (Esc)" onClick={() => (app.page.value = 'traffic')}><Back /></button>
          <h1>Getting started</h1>
        </header>
        <Ways />
      </div>
    </main>
  )
}

/** Ways are the ways to begin, under what has been reached already. */
export function Ways() {
  const app = useConsole()
  const state = useOnboarding()
  const s = app.feed.status.value
  const proxy = s.proxy || '127.0.0.1:8484'
  const ca = s.ca || 'ca.pem'
  return (
    <>
      <p>Whatever goes through the proxy at <code>{proxy}</code> appears here. What has been reached since eaves was started:</p>
      {state && <Progress state={state} />}
      <ol>
        <Way title="From the command line">
          <Command text={`curl -x http://${proxy} --cacert ${quote(ca)} https://example.com/`} />
        </Way>
        <Way title="Any program that is started in a shell">
          <Variables proxy={proxy} ca={ca} />
        </Way>
        <Way title="With a browser of its own">
          <Command text="eaves browser" />
          <p>A throw-away profile that uses the proxy and trusts its certificate.</p>
        </Way>
        <Way title="A phone, or another device">
          {state && <Devices state={state} />}
          <p>Set its HTTP proxy to {state && state.addresses.length > 0 ? 'that address' : <code>{proxy}</code>}, then open <a href="http://eaves.test/" rel="noreferrer" target="_blank">http://eaves.test/</a> there: that page has the certificate for it, and says whether it works. Without the proxy, the same page is at <a href={`http://${proxy}/`} rel="noreferrer" target="_blank">http://{proxy}/</a>.</p>
        </Way>
        <Way title="Everything on this machine">
          <Command text="eaves ca install" />
          <p>Puts the certificate into the trust stores of this machine; then set its proxy to <code>{proxy}</code>. <code>eaves ca uninstall</code> takes it out again.</p>
        </Way>
      </ol>
    </>
  )
}

function Way({ title, children }: { title: string; children: ComponentChildren }) {
  return <li><h2 class="way-title">{title}</h2>{children}</li>
}

/** Progress shows the steps that the machine which came last has made, and the other machines. */
function Progress({ state }: { state: Onboarding }) {
  const [first, ...others] = state.clients
  const list = steps(first)
  return (
    <section class="reached" aria-label="What has been reached">
      <ul class="ticks">{list.map((s) => <TickOf key={s.name} step={s} />)}</ul>
      <p class="offscreen" role="status">{spoken(list)}</p>
      {list[1]!.state === 'refused' && first && (
        <p class="note warn">{device(first.address) === 'this machine'
          ? <>The certificate has to be trusted where the program looks for it: <code>eaves ca install</code> does it for this machine, the variables below for one shell.</>
          : <>Open <code>http://eaves.test/</code> on {first.address}: that page has the certificate, and the steps for it.</>}</p>
      )}
      {others.length > 0 && (
        <details>
          <summary>{others.length === 1 ? 'One other machine' : `${others.length} other machines`}</summary>
          <ul class="machines">{others.map((c) => <li key={c.address}><b>{device(c.address)}</b> <span class="dim">{steps(c).filter((s) => s.state !== 'waiting').map((s) => (s.state === 'refused' ? 'not trusted' : s.name.toLowerCase())).join(', ')}</span></li>)}</ul>
        </details>
      )}
    </section>
  )
}

function TickOf({ step }: { step: Step }) {
  const sign = step.state === 'done' ? <Tick /> : step.state === 'refused' ? <Cross /> : null
  return (
    <li class={`tick ${step.state}`}>
      <span class="sign">{sign}</span>
      <b>{step.name}</b>
      <span class="offscreen">{step.state === 'done' ? ' (done)' : step.state === 'refused' ? ' (refused)' : ' (waiting)'}</span>
      <span class="says">{step.says}</span>
    </li>
  )
}

/** Variables are the environment of a shell, to be copied. */
function Variables({ proxy, ca }: { proxy: string; ca: string }) {
  const app = useConsole()
  const [shell, setShell] = useState<Shell>(() => (/^win/i.test(navigator.platform) ? 'PowerShell' : 'sh'))
  const text = environment(proxy, ca, shell)
  return (
    <>
      <div class="shell">
        <label>Shell <select value={shell} onChange={(e) => setShell(e.currentTarget.value as Shell)}>{shells.map((s) => <option key={s} value={s}>{s === 'sh' ? 'sh, bash, zsh' : s}</option>)}</select></label>
        <button type="button" class="button" onClick={() => void app.copyText(text + '\n', 'Variables')}><Copy /> Copy the variables</button>
      </div>
      <pre class="variables" tabIndex={0} role="group" aria-label="Variables">{text}</pre>
      <p>For what is started in that shell from then on: curl, Python, Node, Go, git, cargo, the AWS tools and many others.</p>
    </>
  )
}

/** Devices shows where another device finds the page that helps it, or how to let others in. */
function Devices({ state }: { state: Onboarding }) {
  const [at, setAt] = useState('')
  if (!state.lan) {
    return (
      <>
        <p>eaves takes nobody from outside this machine. Stop it, and start it so that devices of the same network can reach it:</p>
        <Command text="eaves run --lan" />
        <p>Every device of the private networks that this machine is in can then send traffic through it, and have it recorded.</p>
      </>
    )
  }
  const chosen = state.addresses.find((a) => a.address === at) ?? state.addresses[0]
  if (!chosen) return <p>eaves would take other devices, but this machine has no address that one could reach: is it in a network?</p>
  return (
    <div class="device">
      <Code of={chosen} />
      <div>
        <p>Scan this with a device in the same network, or open <code>{chosen.url}</code> on it: it leads through the proxy setting <code>{chosen.address}</code> and the certificate.</p>
        {state.addresses.length > 1 && (
          <label>Address <select value={chosen.address} onChange={(e) => setAt(e.currentTarget.value)}>{state.addresses.map((a) => <option key={a.address} value={a.address}>{a.address} ({a.interface})</option>)}</select></label>
        )}
      </div>
    </div>
  )
}

/** Code draws a QR code: dark on light whatever the scheme, since not every reader takes it the other way round. */
function Code({ of }: { of: DeviceAddress }) {
  const { size, path } = of.code
  return (
    <svg class="qr" role="img" aria-label={`QR code of ${of.url}`} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" /><path fill="#000" d={path} />
    </svg>
  )
}
