// Parts of the console that few open are loaded when they are opened.

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** lazily makes a component of one that is still to be loaded. */
export function lazily<P extends object>(load: () => Promise<ComponentType<P>>): (props: P) => preact.JSX.Element | null {
  let loaded: ComponentType<P> | undefined
  return function Lazily(props: P) {
    const [, come] = useState(0)
    const [problem, setProblem] = useState('')
    useEffect(() => {
      if (loaded) return
      load().then((c) => {
        loaded = c
        come((n) => n + 1)
      }, () => setProblem('This part of the console could not be loaded. Is eaves still running?'))
    }, [])
    if (problem) return <p class="note warn" role="alert">{problem}</p>
    const Part = loaded
    return Part ? <Part {...props} /> : null
  }
}
