import { useEffect, useRef, useState } from 'preact/hooks'
import { Problem } from '../api/client.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'

const restBetween = 2000
const againSoon = 60

export interface Polled<T> {
  value: T | undefined
  problem: string
  /** What value is an answer to. */
  key: string
}

/**
 * usePolled keeps an answer current: asks again when something in the capture has changed, but not more often than every two
 * seconds, and longer apart the longer an answer takes; at once while an answer does not cover everything.
 */
export function usePolled<T extends { covered: number }>(ask: (signal: AbortSignal) => Promise<T>, key: string): Polled<T> {
  const app = useConsole()
  const [state, setState] = useState<Polled<T>>({ key, value: undefined, problem: '' })
  const asking = useRef(ask)
  asking.current = ask
  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let seen = ''
    const later = (ms: number) => { timer = setTimeout(() => void run(), ms) }
    const run = async (): Promise<void> => {
      // The list is told of what its filter lets through, the status of everything.
      const { exchanges, open } = app.feed.status.peek()
      const version = `${app.feed.version.peek()} ${exchanges} ${open}`
      const begun = performance.now()
      // What nobody looks at is not asked for.
      if (document.hidden || (seen === version && app.feed.link.peek() === 'live')) return later(restBetween / 4)
      try {
        const value = await asking.current(stop.signal)
        setState({ key, value, problem: '' })
        seen = value.covered < 1 ? '' : version
        later(value.covered < 1 ? againSoon : Math.max(restBetween, 8 * (performance.now() - begun)))
      } catch (e) {
        if (stop.signal.aborted) return
        if (!(e instanceof Problem && e.status === 0)) setState((s) => ({ ...s, key, problem: message(e) }))
        later(restBetween)
      }
    }
    void run()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [key])
  // The answer to another question stands until there is one to this.
  return state
}
