// What the settings' sections share: reading a list, fields with their mistakes beside them, files, dates.

import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Problem } from '../../api/client.ts'
import type { Use, Warning } from '../../api/settings.ts'
import type { Certificate } from '../../api/types.ts'
import { expiry } from '../../lib/certificate.ts'
import { moment } from '../../lib/format.ts'
import { visible } from '../../lib/visible.ts'
import { message } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Hint } from '../Hint.tsx'
import { Command } from '../Command.tsx'
import { Caution, Clock, Cross, Tick, Upload } from '../icons.tsx'
import { HostText } from '../Text.tsx'

export interface Listed<T> {
  value: T | undefined
  problem: string
  missing: boolean
}

/** How often what is shown is read anew: what servers made of certificates changes with the traffic. */
const refresh = 10_000

/** useRead reads what a section shows, again after each change, when the page is looked at again, and now and then. */
export function useRead<T>(read: (signal: AbortSignal) => Promise<T>): Listed<T> {
  const app = useConsole()
  const [got, setGot] = useState<Listed<T>>({ value: undefined, problem: '', missing: false })
  const settled = app.settled.value
  useEffect(() => {
    let abort = new AbortController()
    const go = () => {
      abort.abort()
      const mine = (abort = new AbortController())
      read(mine.signal).then(
        (value) => { if (!mine.signal.aborted) setGot({ value, problem: '', missing: false }) },
        (e) => { if (!mine.signal.aborted) setGot((was) => ({ value: was.value, problem: message(e), missing: e instanceof Problem && e.status === 404 })) },
      )
    }
    go()
    const again = () => { if (!document.hidden) go() }
    const timer = setInterval(again, refresh)
    document.addEventListener('visibilitychange', again)
    return () => {
      abort.abort()
      clearInterval(timer)
      document.removeEventListener('visibilitychange', again)
    }
  }, [settled])
  return got
}

/** Intro says in a line what a section is for, and the command that does the same. */
export function Intro({ children, command, action }: { children: ComponentChildren; command: string; action?: ComponentChildren }) {
  return (
    <div class="intro">
      <p>{children}</p>
      <div class="intro-line"><Command text={command} />{action}</div>
    </div>
  )
}

/** Reading stands in a section's place until its list has come. */
export function Reading({ list }: { list: Listed<unknown> }) {
  if (list.problem) return <p class="note warn" role="alert">{list.missing ? 'This eaves does not keep such settings.' : visible(list.problem)}</p>
  return list.value === undefined ? <p class="empty">Reading …</p> : null
}

export interface FieldProps {
  id: string
  'aria-invalid'?: 'true'
  'aria-describedby'?: string
}

let fields = 0

/** Field is a labelled control with what is wrong with it, or what it is for, below. */
export function Field({ label, wrong, note, grow, children }: {
  label: ComponentChildren; wrong?: string | undefined; note?: ComponentChildren; grow?: boolean; children: (a: FieldProps) => JSX.Element
}) {
  const [id] = useState(() => `field-${++fields}`)
  const below = wrong || note
  return (
    <div class={grow ? 'field-box grow' : 'field-box'}>
      <label for={id}>{label}</label>
      {children({ id, ...(wrong ? { 'aria-invalid': 'true' as const } : {}), ...(below ? { 'aria-describedby': `${id}-note` } : {}) })}
      {below && <p class={wrong ? 'field-note wrong' : 'field-note'} id={`${id}-note`}>{wrong ? visible(wrong) : note}</p>}
    </div>
  )
}

/** Failed is what the server said against a form: words at the fields they are about, the rest below the form. */
export interface Failed {
  at: Record<string, string>
  rest: string
}

export const fine: Failed = { at: {}, rest: '' }

/** failed sorts what the server said to the fields that the form shows. */
export function failed(e: unknown, shown: Record<string, readonly string[]>): Failed {
  const text = message(e)
  const parameter = e instanceof Problem ? e.parameter : undefined
  const field = parameter && Object.keys(shown).find((k) => shown[k]!.includes(parameter))
  return field ? { at: { [field]: text }, rest: '' } : { at: {}, rest: text }
}

export function FormProblem({ failed: f }: { failed: Failed }) {
  return f.rest === '' ? null : <p class="note warn" role="alert">{visible(f.rest)}</p>
}

/** Expires is a countdown: a sign, words and a colour, and the dates in its title. */
export function Expires({ c }: { c: Pick<Certificate, 'notBefore' | 'notAfter'> }) {
  const e = expiry(c.notBefore, c.notAfter, Date.now())
  const title = `${moment(c.notBefore).slice(0, 16)} to ${moment(c.notAfter).slice(0, 16)}`
  return <span class={`expires ${e.level}`} title={title}>{e.level === 'good' ? <Tick /> : e.level === 'over' ? <Cross /> : <Clock />} {e.text}</span>
}

export function Warnings({ list, problem, hint }: { list?: Warning[] | null | undefined; problem?: string | undefined; hint?: string | undefined }) {
  if (!problem && !list?.length) return null
  return (
    <ul class="warnings">
      {problem && <li class="bad"><Cross /> <span>{visible(problem)}{hint ? <span class="dim"> <Hint text={hint} /></span> : null}</span></li>}
      {list?.map((w, i) => <li key={i}><Caution /> <span>{visible(w.message)}</span></li>)}
    </ul>
  )
}

/** Used says when a certificate was last taken or refused, and by which exchange. */
export function Used({ use, rejected }: { use?: Use | null | undefined; rejected?: boolean }) {
  const app = useConsole()
  if (!use) return null
  return (
    <p class={rejected ? 'used bad' : 'used good'}>
      {rejected ? <Cross /> : <Tick />}{' '}
      <span>
        {rejected ? 'rejected' : 'accepted'} by <HostText text={use.host} /> {rejected && use.alert ? `(${visible(use.alert)}) ` : ''}
        <button type="button" class="link" title={moment(use.time)} onClick={() => { app.page.value = 'traffic'; app.select(use.exchange) }}>{ago(use.time)}<span class="offscreen">, exchange {use.exchange}</span></button>
      </span>
    </p>
  )
}

/** ago is how long ago something was, roughly. */
export function ago(iso: string, now = Date.now()): string {
  const s = Math.max(0, (now - Date.parse(iso)) / 1000)
  if (Number.isNaN(s)) return iso
  const in_ = (n: number, one: string) => `${Math.floor(n)} ${one}${Math.floor(n) === 1 ? '' : 's'} ago`
  if (s < 60) return 'just now'
  if (s < 3600) return in_(s / 60, 'minute')
  if (s < 86_400) return in_(s / 3600, 'hour')
  return in_(s / 86_400, 'day')
}

/** Switch turns an entry on and off. */
export function Switch({ on, name, onChange }: { on: boolean; name: string; onChange: () => void }) {
  return (
    <label class="switch" title={on ? 'On: press to turn off' : 'Off: press to turn on'}>
      <input type="checkbox" role="switch" checked={on} onChange={onChange} /><span class="track" aria-hidden="true" />
      <span class="offscreen">{visible(name)}</span><span class="on-off" aria-hidden="true">{on ? 'on' : 'off'}</span>
    </label>
  )
}

/** Drop takes files that are let go over it, or chosen. */
export function Drop({ accept, onFiles, children }: { accept: string; onFiles: (files: File[]) => void; children: ComponentChildren }) {
  const [over, setOver] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  return (
    <div
      class={over ? 'drop over' : 'drop'}
      onDragOver={(e) => { e.preventDefault(); setOver(true) }} onDragLeave={() => setOver(false)}
      onDrop={(e) => {
        e.preventDefault()
        setOver(false)
        const files = [...(e.dataTransfer?.files ?? [])]
        if (files.length > 0) onFiles(files)
      }}
    >
      <Upload /> <span>{children}</span>
      <button type="button" class="button" onClick={() => input.current!.click()}>Choose files …</button>
      <input
        ref={input} type="file" multiple accept={accept} tabIndex={-1} class="offscreen" aria-label="Files"
        onChange={(e) => {
          const files = [...(e.currentTarget.files ?? [])]
          e.currentTarget.value = ''
          if (files.length > 0) onFiles(files)
        }}
      />
    </div>
  )
}
