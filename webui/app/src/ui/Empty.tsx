import { useConsole } from './context.ts'
import { Ways } from './Start.tsx'
import { Text } from './Text.tsx'

/** Empty is what stands where the list will be: how to get traffic into it, or why a filter shows none. */
export function Empty() {
  const app = useConsole()
  const filter = app.feed.filter.value
  if (filter) {
    return (
      <div class="start" id="exchanges" tabIndex={-1}>
        <h2>Nothing matches</h2>
        <p>No exchange matches <code><Text text={filter} /></code>. New ones that do will appear here.</p>
        <p><button type="button" class="button" onClick={() => app.setFilter('')}>Show all</button></p>
      </div>
    )
  }
  return (
    <div class="start" id="exchanges" tabIndex={-1}>
      <h2>{app.recording.value === false ? 'Recording is paused' : 'Waiting for the first request'}</h2>
      <Ways />
      <p class="dim">Press <kbd>?</kbd> for all keys. This page stays at <a href="#/start">Getting started</a>.</p>
    </div>
  )
}
