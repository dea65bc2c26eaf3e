// The address bar carries what is shown, so that a link opens the same view again: #/?filter=…&id=42&tab=body

export type Tab = 'overview' | 'headers' | 'body' | 'timing' | 'route' | 'tls' | 'messages'
export const tabs: readonly Tab[] = ['overview', 'headers', 'body', 'timing', 'route', 'tls', 'messages']
export const tabNames: Record<Tab, string> = { overview: 'Overview', headers: 'Headers', body: 'Body', timing: 'Timing', route: 'Route', tls: 'TLS', messages: 'Messages' }

/** The parts of the settings, each with an address of its own: #/settings/trust */
export type Section = 'certificates' | 'trust' | 'tls' | 'routes' | 'inventory'
export const sections: readonly Section[] = ['certificates', 'trust', 'tls', 'routes', 'inventory']

export interface View {
  page: 'traffic' | 'rules' | 'settings'
  /** The part of the settings, also while they are not shown. */
  section: Section
  filter: string
  id: number | undefined
  tab: Tab
}

export function parse(hash: string): View {
  const [path = '', search = ''] = split(hash.replace(/^#/, ''))
  const q = new URLSearchParams(search)
  const id = Number(q.get('id'))
  const tab = q.get('tab') as Tab
  const [, page = '', section = ''] = path.split('/')
  return {
    page: page === 'rules' || page === 'settings' ? page : 'traffic',
    section: sections.includes(section as Section) ? (section as Section) : 'certificates',
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
  const path = view.page === 'settings' ? `settings/${view.section}` : view.page === 'rules' ? 'rules' : ''
  return `#/${path}${search ? '?' + search : ''}`
}
