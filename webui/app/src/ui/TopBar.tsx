import { useConsole } from './context.ts'
import { FilterBox } from './FilterBox.tsx'
import { List, Plus, Question, Settings, Trash } from './icons.tsx'

export function TopBar() {
  const app = useConsole()
  const on = app.recording.value
  const rules = app.page.value === 'rules'
  const settings = app.page.value === 'settings'
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="eaves: all traffic" onClick={(e) => { e.preventDefault(); app.page.value = 'traffic' }}>
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" class="logo-ground" /><path d="M5 16.5 16 8l11 8.5" class="logo-roof" /><path d="M11 20v1.5M16 20v5M21 20v1.5" class="logo-drops" /></svg>
        <span>eaves</span>
      </a>
      <FilterBox />
      <div class="top-actions">
        <button
          type="button" role="switch" aria-checked={on !== false} class={`record ${on === false ? 'off' : ''}`} onClick={() => void app.toggleRecording()}
          title={on === false ? 'Traffic flows but is not recorded. Press to record.' : 'Traffic is recorded. Press to pause.'}
        ><span class="dot" aria-hidden="true" /><span class="label">{on === false ? 'Paused' : 'Recording'}</span></button>
        <button type="button" class="tool" aria-label="New request" title="New request (n)" onClick={() => app.compose()}><Plus /></button>
        <button type="button" class="tool" aria-label="Rules" title="Rules" aria-pressed={rules} onClick={() => (app.page.value = rules ? 'traffic' : 'rules')}><List /></button>
        <button type="button" class="tool" aria-label="Settings" title="Settings: certificates, trust, TLS, routes (s)" aria-pressed={settings} onClick={() => app.toggleSettings()}><Settings /></button>
        <button type="button" class="tool" aria-label="Delete what is listed" title="Delete what is listed …" onClick={() => void app.clear()}><Trash /></button>
        <button type="button" class="tool" aria-label="Help and keys" title="Help and keys (?)" onClick={() => (app.help.value = true)}><Question /></button>
      </div>
    </header>
  )
}
