import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ColumnsDialog } from './ColumnsDialog.tsx'
import { Batches } from './Batches.tsx'
import { useConsole } from './context.ts'
import { Detail } from './Detail.tsx'
import { Confirm, Help } from './dialogs.tsx'
import { Empty } from './Empty.tsx'
import { FilterWords } from './FilterBox.tsx'
import { lazily } from './lazy.tsx'
import { List } from './List.tsx'
import { ListBar } from './ListBar.tsx'
import { Palette } from './Palette.tsx'
import { RulesPage } from './Rules.tsx'
import { Resend } from './SendAs.tsx'
import { SettingsForm, SettingsPage } from './settings/Settings.tsx'
import { SortedList } from './SortedList.tsx'
import { Sources } from './Sources.tsx'
import { Splitter } from './Splitter.tsx'
import { StartPage } from './Start.tsx'
import { Banner, StatusLine, Toasts } from './status.tsx'
import { Timeline } from './Timeline.tsx'
import { TopBar } from './TopBar.tsx'
import { Trial } from './Trial.tsx'

const TotalsPage = lazily(() => import('./Totals.tsx').then((m) => m.Totals))
const LoadPage = lazily(() => import('./PageLoad.tsx').then((m) => m.PageLoad))
const Compose = lazily(() => import('./Compose.tsx').then((m) => m.Compose))
const Compare = lazily(() => import('./Compare.tsx').then((m) => m.Compare))
const Matrix = lazily(() => import('./Matrix.tsx').then((m) => m.Matrix))

export function App() {
  const app = useConsole()
  const page = app.page.value
  useSignalEffect(() => {
    const n = app.feed.rows.total
    void app.feed.version.value
    document.title = app.feed.link.value === 'live' ? `eaves${n > 0 ? ` (${n.toLocaleString('en-US')})` : ''}` : 'eaves (not connected)'
  })
  return (
    <div class="console">
      <TopBar />
      <FilterWords />
      <Banner />
      {page === 'totals' ? <TotalsPage /> : page === 'load' ? <LoadPage /> : page === 'rules' ? <RulesPage /> : page === 'start' ? <StartPage /> : page === 'settings' ? <SettingsPage /> : <Traffic />}
      <StatusLine />
      <Toasts />
      {app.draft.value && <Compose draft={app.draft.value} />}
      {app.resending.value && <Resend key={app.resending.value.id} x={app.resending.value} />}
      {app.matrix.value && <Matrix key={app.matrix.value.id} x={app.matrix.value} />}
      {app.comparing.value && <Compare pair={app.comparing.value} />}
      <Batches />
      <SettingsForm />
      {app.trying.value && <Trial what={app.trying.value} />}
      {app.help.value && <Help />}
      {app.palette.value && <Palette />}
      {app.look.choosing.value && <ColumnsDialog />}
      {app.confirming.value && <Confirm />}
      <div class="offscreen" role="status" aria-live="polite">{app.spoken}</div>
    </div>
  )
}

const key = 'eaves.split'

// A browser that keeps nothing for this page refuses its storage: the width is then not remembered.
function stored(): number {
  try {
    const n = Number(localStorage.getItem(key))
    return n >= 20 && n <= 80 ? n : 45
  } catch {
    return 45
  }
}

function store(n: number): void {
  try {
    localStorage.setItem(key, String(n))
  } catch {
    // As above.
  }
}

/** Traffic is the list, with the selected exchange beside it; on a narrow screen, over it. */
function Traffic() {
  const app = useConsole()
  const main = useRef<HTMLElement>(null)
  const [split, setSplit] = useState(stored)
  const open = app.selected.value !== undefined
  const narrow = useNarrow()
  void app.feed.version.value
  // What stands around the list goes only where there is nothing at all to look at.
  const empty = !app.feed.loading.value && app.feed.rows.total === 0 && !app.feed.filter.value
  useEffect(() => { main.current?.style.setProperty('--split', `${split}%`) }, [split, empty])
  const resize = (percent: number) => {
    const n = Math.max(20, Math.min(80, Math.round(percent * 10) / 10))
    setSplit(n)
    store(n)
  }
  return (
    <main class={open ? 'traffic with-detail' : 'traffic'} ref={main}>
      <h1 class="offscreen">Traffic</h1>
      <div class="side" inert={open && narrow}>{empty ? <Empty /> : <Looked />}</div>
      {open && !narrow && <Splitter value={split} onChange={resize} within={main} />}
      {open && <Detail />}
    </main>
  )
}

/** Looked is the list with what stands around it. */
function Looked() {
  const app = useConsole()
  const { sorting, sources, timeline } = app.look
  void app.feed.version.value
  const nothing = !app.feed.loading.value && app.feed.rows.total === 0
  return (
    <div class="looked">
      <ListBar />
      {timeline.value && <Timeline />}
      <div class="beside">
        {sources.value && <Sources />}
        {nothing ? <Empty /> : sorting.value ? <SortedList by={sorting.value} /> : <List />}
      </div>
    </div>
  )
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => window.matchMedia('(max-width: 800px)').matches)
  useEffect(() => {
    const query = window.matchMedia('(max-width: 800px)')
    const change = () => setNarrow(query.matches)
    query.addEventListener('change', change)
    return () => query.removeEventListener('change', change)
  }, [])
  return narrow
}
