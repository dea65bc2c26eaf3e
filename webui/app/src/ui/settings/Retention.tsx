import { useEffect, useRef, useState } from 'preact/hooks'
import * as kept from '../../api/kept.ts'
import type { Limit, LimitName, Retention as Kept } from '../../api/kept.ts'
import { count, moment, plural, size } from '../../lib/format.ts'
import { ageWords, readAge, readSize, writeAge, writeSize } from '../../lib/quantity.ts'
import { message } from '../../model/console.ts'
import { useConsole } from '../context.ts'
import { Command } from '../Command.tsx'
import { Caution, Trash } from '../icons.tsx'
import { useAsked } from './asked.ts'
import { saidBy } from './Locked.tsx'
import { ago, failed, Field, fine, FormProblem, Intro, Reading, useRead } from './parts.tsx'

/** Retention says how much is kept, and removes what is too much. */
export function Retention() {
  const read = useRead(kept.retention)
  const now = read.value
  return (
    <>
      <Intro command="eaves run --keep 1g --retention-max-size 20g --retention-max-age 30d">
        How much is kept, and for how long. The oldest make room for the newest; what is marked stays.
      </Intro>
      <Reading list={read} />
      {now && <Stored now={now} />}
      {now && <Limits key={`${now.keep.value} ${now.maxSize.value} ${now.maxAge.value}`} now={now} />}
      {now && <Prune now={now} />}
    </>
  )
}

/** Stored says what there is now, and how much of what there may be. */
function Stored({ now }: { now: Kept }) {
  const { exchanges, database, bodies, used, oldest } = now.stored
  const limit = now.maxSize.value
  return (
    <section class="stored" aria-label="Stored now">
      <dl class="facts">
        <div><dt>Exchanges</dt><dd>{count(exchanges)}</dd></div>
        <div><dt>Oldest</dt><dd>{oldest ? <span title={moment(oldest)}>{ago(oldest)}</span> : 'none'}</dd></div>
        <div><dt>Database</dt><dd>{size(database)}</dd></div>
        <div><dt>Large bodies</dt><dd>{size(bodies)}</dd></div>
        <div>
          <dt>In use</dt>
          <dd>{size(used)}{limit > 0 && <> of {size(limit)} <progress class="in-use" value={Math.min(used, limit)} max={limit} aria-label="Share of the size that is in use" /></>}</dd>
        </div>
      </dl>
    </section>
  )
}

interface Line {
  name: LimitName
  label: string
  read: (text: string) => number | undefined
  write: (n: number) => string
  placeholder: string
  says: (n: number) => string
  least: number
  wrong: string
}

const lines: readonly Line[] = [
  { name: 'keep', label: 'Keep of each body', read: readSize, write: writeSize, placeholder: '1g', least: 1, wrong: 'A size above 0, such as 500k, 20m or 1g.', says: (n) => `The first ${size(n)}; what is beyond flows on, is counted, but not kept.` },
  { name: 'maxSize', label: 'Size of the store', read: readSize, write: writeSize, placeholder: '20g', least: 0, wrong: 'A size, such as 500m or 20g; 0 is no limit.', says: (n) => (n === 0 ? 'No limit: it grows until the disk is full.' : `The oldest exchanges go once it is larger than ${size(n)}.`) },
  { name: 'maxAge', label: 'Age of an exchange', read: readAge, write: writeAge, placeholder: '30d', least: 0, wrong: 'An age, such as 12h, 7d or 4w; 0 is no limit.', says: (n) => (n === 0 ? 'No limit: age alone lets nothing go.' : `An exchange goes once it is ${ageWords(n)} old.`) },
]

const keys: Record<LimitName, string> = { keep: 'keep', maxSize: 'retention.maxSize', maxAge: 'retention.maxAge' }

function Limits({ now }: { now: Kept }) {
  const app = useConsole()
  const [texts, setTexts] = useState(() => Object.fromEntries(lines.map((l) => [l.name, l.write(now[l.name].value)])) as Record<LimitName, string>)
  const [problem, setProblem] = useState(fine)
  const value = (l: Line) => {
    const n = l.read(texts[l.name])
    return n !== undefined && n >= l.least ? n : undefined
  }
  const values = Object.fromEntries(lines.map((l) => [l.name, value(l)])) as Record<LimitName, number | undefined>
  const changed = lines.filter((l) => values[l.name] !== now[l.name].value)
  const wrong = lines.some((l) => values[l.name] === undefined)
  const age = values.maxAge
  // What a shorter age or a smaller size lets go is said before it goes.
  const goes = useAsked(age !== undefined && age > 0 && age !== now.maxAge.value ? String(age) : undefined, (signal) => kept.older(age!, signal))
  const over = values.maxSize ? Math.max(0, now.stored.used - values.maxSize) : 0
  const loses = [goes.value ? `${plural(goes.value, 'exchange')} older than ${ageWords(age!)}` : '', over > 0 && values.maxSize !== now.maxSize.value ? `the oldest exchanges, ${size(over)} of them` : ''].filter((s) => s !== '')
  const input = () => Object.fromEntries(changed.map((l) => [l.name, values[l.name]!]))
  const save = async () => {
    try {
      await kept.setRetention(input())
      app.say('Saved. It holds from now on.')
      app.settled.value++
    } catch (e) {
      setProblem(failed(e, { keep: ['keep'], maxSize: ['maxSize'], maxAge: ['maxAge'] }))
    }
  }
  const ask = () => {
    if (wrong) return
    if (loses.length === 0) return void save()
    app.confirming.value = { text: `Save? This removes ${loses.join(', and ')}, marked ones excepted. It cannot be undone.`, label: 'Save and remove', run: () => void save() }
  }
  const text = (l: Line) => l.write(values[l.name] ?? now[l.name].value)
  const [keep, maxSize, maxAge] = lines as [Line, Line, Line]
  return (
    <section aria-labelledby="limits-title">
      <h3 id="limits-title">Limits</h3>
      <form class="kept-form" noValidate onSubmit={(e) => { e.preventDefault(); ask() }}>
        <div class="limits">
          {lines.map((l) => (
            <LimitField key={l.name} l={l} now={now[l.name]} text={texts[l.name]} value={values[l.name]} said={problem.at[l.name]}
              onText={(t) => { setTexts({ ...texts, [l.name]: t }); setProblem(fine) }} />
          ))}
        </div>
        {loses.length > 0 && <p class="note mild" role="status"><Caution /> Saving removes {loses.join(', and ')}; marked ones stay.</p>}
        <Command text={`eaves run --keep ${text(keep)} --retention-max-size ${text(maxSize)} --retention-max-age ${text(maxAge)}`} of="flags, which win over this page" />
        <Command text={`keep: ${text(keep)}\nretention:\n  maxSize: ${text(maxSize)}\n  maxAge: ${text(maxAge)}`} of="eaves.yaml, read at the start" />
        <FormProblem failed={problem} />
        <div class="buttons">
          <button type="submit" class="button primary" disabled={changed.length === 0 || wrong}>Save</button>
          <span class="dim">{changed.length > 0 ? 'Not saved yet.' : 'Saved; it holds without a restart.'}</span>
        </div>
      </form>
    </section>
  )
}

function LimitField({ l, now, text, value, said, onText }: { l: Line; now: Limit; text: string; value: number | undefined; said: string | undefined; onText: (t: string) => void }) {
  const means = l.says(value ?? now.value)
  return (
    <Field label={l.label} wrong={now.locked ? undefined : value === undefined ? l.wrong : said}
      note={now.locked ? <><strong>Locked:</strong> set by {saidBy(now.source)} ({keys[l.name]}), which wins over this page. {means}</> : means}>
      {(a) => <input type="text" {...a} value={text} readOnly={now.locked} aria-readonly={now.locked} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder={l.placeholder} onInput={(e) => onText(e.currentTarget.value)} />}
    </Field>
  )
}

interface Going {
  what: string
  /** From 0 to 1. */
  share: number
  removed: number
}

/** Prune removes what is too old or too much, now. */
function Prune({ now }: { now: Kept }) {
  const app = useConsole()
  const [by, setBy] = useState<'age' | 'size'>('age')
  const [age, setAge] = useState('7d')
  const [max, setMax] = useState('1g')
  const [going, setGoing] = useState<Going | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const abort = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => abort.current?.abort(), [])
  const ms = readAge(age)
  const bytes = readSize(max)
  const good = by === 'age' ? ms !== undefined && ms > 0 : bytes !== undefined && bytes > 0
  const found = useAsked(by === 'age' && good ? `${ms} ${now.stored.exchanges}` : undefined, (signal) => kept.older(ms!, signal))
  const over = Math.max(0, now.stored.used - (bytes ?? 0))
  const says = by === 'age'
    ? !good ? '' : found.problem || (found.value === undefined ? 'Counting …' : found.value === 0 ? 'None is that old.' : `${plural(found.value, 'exchange')} would go.`)
    : !good ? '' : over === 0 ? 'The store is no larger.' : `The oldest would go: ${size(over)} of ${size(now.stored.used)}.`
  const nothing = by === 'age' ? found.value === 0 : over === 0
  const run = async () => {
    const mine = (abort.current = new AbortController())
    const what = by === 'age' ? `what is older than ${ageWords(ms!)}` : `the oldest down to ${size(bytes)}`
    const start = now.stored
    const all = found.value ?? 0
    setProblem('')
    setGoing({ what, share: 0, removed: 0 })
    const look = setInterval(() => {
      kept.retention(mine.signal).then(({ stored }) => {
        const removed = Math.max(0, start.exchanges - stored.exchanges)
        const share = by === 'age' ? removed / Math.max(all, 1) : (start.used - stored.used) / Math.max(over, 1)
        setGoing((g) => g && { what, removed, share: Math.min(1, Math.max(g.share, share)) })
      }, () => {})
    }, 400)
    try {
      const done = await kept.prune(by === 'age' ? { olderThan: ms! } : { maxSize: bytes! }, mine.signal)
      app.say(`Removed ${plural(done.removed, 'exchange')}; ${size(done.freed)} were given back to the disk.`)
    } catch (e) {
      if (mine.signal.aborted) app.say('Stopped. What was removed until then is gone.')
      else setProblem(message(e))
    } finally {
      clearInterval(look)
      setGoing(undefined)
      app.settled.value++
    }
  }
  const ask = () => {
    if (!good || nothing) return
    app.confirming.value = {
      text: by === 'age' ? `Remove ${found.value === undefined ? 'every exchange' : plural(found.value, 'exchange')} older than ${ageWords(ms!)}? This cannot be undone.` : `Remove the oldest exchanges until the store is no larger than ${size(bytes)}? This cannot be undone.`,
      label: 'Remove', run: () => void run(),
    }
  }
  return (
    <section aria-labelledby="prune-title">
      <h3 id="prune-title">Prune now</h3>
      <form class="kept-form" noValidate onSubmit={(e) => { e.preventDefault(); ask() }}>
        <fieldset disabled={going !== undefined}>
          <legend>Remove</legend>
          <label class="check"><input type="radio" name="prune" checked={by === 'age'} onChange={() => setBy('age')} /> what is older</label>
          <label class="check"><input type="radio" name="prune" checked={by === 'size'} onChange={() => setBy('size')} /> the oldest, down to a size</label>
          {by === 'age'
            ? <Field key="age" label="Older than" wrong={good ? undefined : 'An age above 0, such as 12h or 7d.'} note={says}>{(a) => <input type="text" {...a} value={age} spellcheck={false} autocomplete="off" onInput={(e) => setAge(e.currentTarget.value)} />}</Field>
            : <Field key="size" label="Down to" wrong={good ? undefined : 'A size above 0, such as 500m or 2g.'} note={says}>{(a) => <input type="text" {...a} value={max} spellcheck={false} autocomplete="off" onInput={(e) => setMax(e.currentTarget.value)} />}</Field>}
        </fieldset>
        <Command text={by === 'age' ? `eaves prune --older ${age.trim() || 'AGE'}` : `eaves prune --max-size ${max.trim() || 'SIZE'}`} />
        {problem && <p class="note warn" role="alert">{problem}</p>}
        {going
          ? (
            <div class="buttons going" role="status">
              <progress value={going.share} max={1} aria-label={`Removing ${going.what}`} />
              <span>Removing {going.what}: {plural(going.removed, 'exchange')} gone</span>
              <button type="button" class="button" onClick={() => abort.current?.abort()}>Stop</button>
            </div>
          )
          : <div class="buttons"><button type="submit" class="button danger" disabled={!good || nothing}><Trash /> Prune …</button></div>}
      </form>
    </section>
  )
}
