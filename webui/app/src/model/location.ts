// The address bar carries what is shown, so that a link opens the same view again: #/?filter=…&id=42&tab=response

import { groupings, type Grouping } from './grouping.ts'

export type Tab = 'overview' | 'request' | 'response' | 'messages' | 'tls' | 'route' | 'timing' | 'replays' | 'raw'
export const tabs: readonly Tab[] = ['overview', 'request', 'response', 'messages', 'tls', 'route', 'timing', 'replays', 'raw']
export const tabNames: Record<Tab, string> = {
  overview: 'Overview', request: 'Request', response: 'Response', messages: 'Messages', tls: 'TLS', route: 'Route', timing: 'Timing', replays: 'Replays', raw: 'Raw',
}

/** Names that tabs had in older addresses. */
const formerly: Record<string, Tab> = { headers: 'request', body: 'response' }

/** The parts of the settings, each with an address of its own: #/settings/trust */
export type Section = 'certificates' | 'trust' | 'tls' | 'routes' | 'bypass' | 'retention' | 'secrets' | 'inventory'
export const sections: readonly Section[] = ['certificates', 'trust', 'tls', 'routes', 'bypass', 'retention', 'secrets', 'inventory']

export interface View {
  page: 'traffic' | 'rules' | 'settings' | 'start' | 'totals' | 'load'
  /** The part of the settings, also while they are not shown. */
  section: Section
  /** What exchanges are grouped by, on the page of totals. */
  grouping?: Grouping | undefined
  filter: string
  id: number | undefined
  tab: Tab
}

const pages: readonly View['page'][] = ['rules', 'settings', 'start', 'totals', 'load']

export function parse(hash: string): View {
  const [path = '', search = ''] = split(hash.replace(/^#/, ''))
  const q = new URLSearchParams(search)
  const id = Number(q.get('id'))
  const named = q.get('tab') ?? ''
  const tab = Object.hasOwn(formerly, named) ? formerly[named]! : named as Tab
  const [, page = '', section = ''] = path.split('/')
  return {
    page: pages.find((p) => p === page) ?? 'traffic',
    section: sections.includes(section as Section) ? (section as Section) : 'certificates',
    ...(page === 'totals' ? { grouping: groupings.find((g) => g === section) } : {}),
    filter: q.get('filter') ?? '',
    id: Number.isSafeInteger(id) && id > 0 ? id : undefined,
    tab: tabs.includes(tab) ? tab : 'overview',
  }
}

function split(s: string): [string, string] {
  const at = s.indexOf('?')
  return at < 0 ? [s, ''] : [s.slice(0, at), s.slice(at + 1)]
}

export function format(view: View): string {
  const q = new URLSearchParams()
  if (view.filter) q.set('filter', view.filter)
  if (view.id !== undefined) {
    q.set('id', String(view.id))
    if (view.tab !== 'overview') q.set('tab', view.tab)
  }
  const search = q.toString()
  const path = view.page === 'settings' ? `settings/${view.section}` : view.page === 'totals' ? `totals/${view.grouping ?? 'host'}` : view.page === 'traffic' ? '' : view.page
  return `#/${path}${search ? '?' + search : ''}`
}
