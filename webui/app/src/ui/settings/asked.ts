import { useEffect, useState } from 'preact/hooks'
import { message } from '../../model/console.ts'

/** Typing goes on for this long before what it says is asked for. */
const pause = 250

export interface Asked<T> {
  value: T | undefined
  problem: string
}

/** useAsked asks the server about what is being typed, once typing pauses. Without a key nothing is asked. */
export function useAsked<T>(key: string | undefined, ask: (signal: AbortSignal) => Promise<T>): Asked<T> {
  const [got, setGot] = useState<Asked<T>>({ value: undefined, problem: '' })
  useEffect(() => {
    if (key === undefined) return setGot({ value: undefined, problem: '' })
    const abort = new AbortController()
    const timer = setTimeout(() => {
      ask(abort.signal).then(
        (value) => { if (!abort.signal.aborted) setGot({ value, problem: '' }) },
        (e) => { if (!abort.signal.aborted) setGot({ value: undefined, problem: message(e) }) },
      )
    }, pause)
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [key])
  return got
}
