import { useState } from 'preact/hooks'
import { bypassed, setBypass } from '../../api/kept.ts'
import * as settings from '../../api/settings.ts'
import type { DefaultRoute, Explanation } from '../../api/settings.ts'
import { added, entries, entryMeaning } from '../../lib/bypass.ts'
import { quote } from '../../lib/curl.ts'
import { viaWords } from '../../lib/via.ts'
import { useConsole } from '../context.ts'
import { Command } from '../Command.tsx'
import { Plus, Pulse, Tick, Trash } from '../icons.tsx'
import { HostText, Text } from '../Text.tsx'
import { failed, Field, fine, FormProblem, Intro, Reading, useRead } from './parts.tsx'
import { Locked } from './Locked.tsx'
import { useAsked } from './asked.ts'

/** Bypass is the list of hosts that are reached directly where no route matches. */
export function Bypass() {
  const app = useConsole()
  const read = useRead(settings.routes)
  const now = read.value?.default
  return (
    <>
      <Intro
        command="eaves route default --bypass '<local>,.corp.example,10.0.0.0/8'"
        action={<button type="button" class="button" onClick={() => app.try({ url: '' })} title="Connect to an address and see each stage (t)"><Pulse /> Test an address</button>}
      >
        Hosts that are reached directly, past the proxies. The list is asked only where no route of yours matches first.
      </Intro>
      <Reading list={read} />
      {now && <List key={now.bypass + now.locked} now={now} />}
    </>
  )
}

function List({ now }: { now: DefaultRoute }) {
  const app = useConsole()
  const [list, setList] = useState(() => entries(now.bypass ?? ''))
  const [typed, setTyped] = useState('')
  const [problem, setProblem] = useState(fine)
  const text = list.join(',')
  const changed = text !== entries(now.bypass ?? '').join(',')
  const add = added(list, typed)
  const put = () => {
    if (add.wrong || typed.trim() === '') return
    setList(add.list)
    setTyped('')
  }
  const save = async () => {
    try {
      await setBypass(text)
      app.say('Saved. It holds from the next connection on.')
      app.settled.value++
    } catch (e) {
      setProblem(failed(e, { entry: ['bypass'] }))
    }
  }
  return (
    <>
      {now.locked && <Locked source={now.source} keys="upstreamProxy and bypass" />}
      {list.length === 0
        ? <p class="empty">The list is empty: every host is reached {viaWords(now.upstreamProxy)}.</p>
        : (
          <table class="entries bypass">
            <caption class="offscreen">Bypass list</caption>
            <thead><tr><th scope="col">Entry</th><th scope="col">Reached directly</th>{!now.locked && <th scope="col"><span class="offscreen">Actions</span></th>}</tr></thead>
            <tbody>
              {list.map((e) => (
                <tr key={e}>
                  <th scope="row" class="c-pattern"><code><HostText text={e} /></code></th>
                  <td class="c-main">{entryMeaning(e)}</td>
                  {!now.locked && <td class="c-actions"><button type="button" class="tool" aria-label={`Remove ${e}`} title="Remove" onClick={() => setList(list.filter((x) => x !== e))}><Trash /></button></td>}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      {!now.locked && (
        <form class="kept-form" noValidate onSubmit={(e) => { e.preventDefault(); put() }}>
          <div class="line-one">
            <Field label="Add an entry" grow wrong={typed.trim() === '' ? problem.at.entry : add.wrong}
              note={typed.trim() === '' ? 'A host, .suffix, *.wildcard, network (10.0.0.0/8), any with a port (host:8080), or <local>.' : entries(typed).map(entryMeaning).join(' ')}>
              {(a) => <input type="text" {...a} data-add value={typed} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder=".corp.example" onInput={(e) => { setTyped(e.currentTarget.value); setProblem(fine) }} />}
            </Field>
            <button type="submit" class="button beside" disabled={typed.trim() === '' || add.wrong !== ''}><Plus /> Add</button>
          </div>
        </form>
      )}
      <Check list={text} via={now.upstreamProxy ?? ['direct']} changed={changed} />
      <h3>The same elsewhere</h3>
      <Command text={`eaves route default --bypass ${quote(text)}`} />
      <Command text={`bypass: ${yaml(text)}`} of="eaves.yaml, read at the start" />
      <FormProblem failed={problem} />
      {!now.locked && (
        <div class="buttons">
          <button type="button" class="button primary" disabled={!changed} onClick={() => void save()}>Save</button>
          {changed && <button type="button" class="button" onClick={() => setList(entries(now.bypass ?? ''))}>Undo changes</button>}
          <span class="dim">{changed ? 'Not saved yet.' : 'Saved.'}</span>
        </div>
      )}
    </>
  )
}

/** yaml is a text in a configuration file: quoted wherever anything in it could mean more than itself. */
function yaml(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Check says for an address whether it is bypassed and by which entry, by the list as it is on the page. Nobody is connected to. */
function Check({ list, via, changed }: { list: string; via: readonly string[]; changed: boolean }) {
  const [url, setURL] = useState('')
  const address = url.trim() === '' ? '' : /^[a-z]+:\/\//i.test(url.trim()) ? url.trim() : `https://${url.trim()}/`
  const asked = useAsked(address === '' ? undefined : `${address} ${list} ${via.join()}`, async (signal) => {
    const [here, kept] = await Promise.all([bypassed(address, via, list, signal), settings.explain({ url: address }, signal)])
    return { here, kept }
  })
  return (
    <form class="bypass-check" noValidate onSubmit={(e) => e.preventDefault()}>
      <Field label="Is this address bypassed?" wrong={asked.problem} note={changed ? 'By the list above, saved or not. Nobody is connected to.' : 'Nobody is connected to.'}>
        {(a) => <input type="text" {...a} value={url} inputMode="url" spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="https://build.corp.example/" onInput={(e) => setURL(e.currentTarget.value)} />}
      </Field>
      <div role="status">{asked.value && address !== '' && !asked.problem && <Verdict {...asked.value} via={via} />}</div>
    </form>
  )
}

function Verdict({ here, kept, via }: { here: Explanation; kept: Explanation; via: readonly string[] }) {
  const rule = kept.route?.source === 'rule'
  if (rule) return <p class="note">The bypass list is not asked: your route <code><Text text={kept.route?.reason ?? ''} /></code> matches first.</p>
  const entry = /^bypass (.+)$/.exec(here.route?.reason ?? '')?.[1]
  return entry
    ? <p class="note fine"><Tick /> <strong>Bypassed</strong> by <code><Text text={entry} /></code>: reached directly.</p>
    : <p class="note"><strong>Not bypassed</strong>: reached {viaWords(via)}.</p>
}
