// The replays of an exchange: every attempt below what it repeats, with how it came out otherwise.

import { useEffect, useRef, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import { compare, replaysOf } from '../api/sending.ts'
import type { Exchange, Summary } from '../api/types.ts'
import { briefly, compared, delta, tree, type Attempt } from '../lib/attempts.ts'
import { clock, duration } from '../lib/format.ts'
import { outcome, statusText } from '../lib/story.ts'
import { visible } from '../lib/visible.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { outcomeName, Replay, Sign } from './icons.tsx'

/** As many replays are listed, and as many of them compared in full. */
const most = 500
const inFull = 60

export function Replays({ x }: { x: Exchange }) {
  const app = useConsole()
  const [got, setGot] = useState<{ of: number; root: Summary; all: Attempt[]; more: boolean } | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const [words, setWords] = useState<ReadonlyMap<number, string>>(new Map())
  const known = useRef(new Map<string, string>())
  const tick = app.feed.version.value

  useEffect(() => {
    const abort = new AbortController()
    const read = async () => {
      try {
        const { root, all, more } = await family(x, abort.signal)
        if (abort.signal.aborted) return
        setGot({ of: x.id, root, all, more })
        setProblem('')
        await describe(root, all)
      } catch (e) {
        if (!abort.signal.aborted) setProblem(message(e))
      }
    }
    const describe = async (root: Summary, all: Attempt[]) => {
      for (const { x: y } of all.slice(1, inFull)) {
        if (abort.signal.aborted || y.state === 'open' || root.state === 'open') continue
        const key = `${root.id} ${root.seq} ${y.id} ${y.seq}`
        if (!known.current.has(key)) known.current.set(key, compared(await compare(root.id, y.id, ['noise'], abort.signal)))
        setWords((was) => new Map(was).set(y.id, known.current.get(key)!))
      }
    }
    // What changes in the traffic may be a replay, also one that the filter does not show: the first look is at once.
    const timer = setTimeout(() => void read(), got?.of === x.id ? 400 : 0)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [x.id, x.seq, tick])
  useEffect(() => {
    const open = got?.all.some((a) => a.x.state === 'open')
    if (!open) return
    const timer = setTimeout(() => { app.feed.version.value++ }, 1000)
    return () => clearTimeout(timer)
  }, [got])

  if (!got || got.of !== x.id) return <p class="empty" role="status">{problem ? visible(problem) : 'Reading …'}</p>
  const { root, all, more } = got
  return (
    <div class="replays">
      <div class="replay-tools">
        <button type="button" class="button" onClick={() => void app.replay(root.id)}><Replay /> Replay #{root.id}</button>
        <button type="button" class="button" onClick={() => (app.resending.value = x)}>Replay as …, many times …</button>
        <button type="button" class="button" title="Each identity on each route (X)" onClick={() => (app.matrix.value = x)}>Matrix …</button>
      </div>
      {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
      {all.length === 1 ? <p class="empty">This has not been sent again yet. What is appears here, below what it repeats.</p> : (
        <table class="attempts">
          <caption class="offscreen">Exchange {root.id} and its replays</caption>
          <thead><tr><th scope="col">Exchange</th><th scope="col">At</th><th scope="col">Status</th><th scope="col" class="right">Time</th><th scope="col">Against #{root.id}</th><th scope="col"><span class="offscreen">Compare</span></th></tr></thead>
          <tbody>
            {all.map(({ x: y, depth }) => {
              const kind = outcome(y)
              const here = y.id === x.id
              return (
                <tr key={y.id} class={here ? 'here' : ''} aria-current={here ? 'true' : undefined}>
                  <th scope="row"><span class={`branch depth-${Math.min(depth, 6)}`} aria-hidden="true">{depth > 0 ? '└ ' : ''}</span>
                    <button type="button" class="link" onClick={() => app.select(y.id)}>#{y.id}</button>{depth > 0 && <span class="offscreen">, replay of {y.replayOf}</span>}{y.source === 'compose' && <span class="tag">composed</span>}</th>
                  <td class="dim">{clock(y.startedDateTime)}</td>
                  <td><span class={`outcome ${kind}`}><Sign of={kind} /> {statusText(y)}<span class="offscreen"> {outcomeName[kind]}</span></span></td>
                  <td class="right">{duration(y.time)}{depth > 0 && y.state !== 'open' && <span class="dim"> {delta(root.time, y.time)}</span>}</td>
                  <td>{depth === 0 ? <span class="dim">the original</span> : y.state === 'open' ? <span class="dim">under way …</span> : visible(words.get(y.id) ?? briefly(root, y) ?? '')}</td>
                  <td>{y.id !== root.id && <button type="button" class="link" onClick={() => (app.comparing.value = { a: root.id, b: y.id })}>Diff<span class="offscreen"> #{root.id} and #{y.id}</span></button>}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      )}
      {more && <p class="dim">Only the first {most} are listed. <button type="button" class="link" onClick={() => app.setFilter(`replay.of:${root.id}`)}>Show all in the list</button></p>}
    </div>
  )
}

/** family is the exchange that all began with, and everything that repeats it or a repetition of it. */
async function family(x: Exchange, signal: AbortSignal): Promise<{ root: Summary; all: Attempt[]; more: boolean }> {
  let root: Summary = x
  for (let n = 0; n < 30 && root.replayOf; n++) {
    try {
      root = await api.exchange(root.replayOf, signal)
    } catch (e) {
      if (e instanceof api.Problem && e.status === 404) break // deleted since
      throw e
    }
  }
  const all: Summary[] = []
  let level = [root.id]
  while (level.length > 0 && all.length < most) {
    const next: Summary[] = []
    for (let i = 0; i < level.length && all.length + next.length < most; i += 100) next.push(...await replaysOf(level.slice(i, i + 100), most, signal))
    all.push(...next)
    level = next.map((y) => y.id)
  }
  return { root, all: tree(root, all.slice(0, most)), more: all.length >= most }
}
