// The address bar carries what is shown, so that a link opens the same view again: #/?filter=…&id=42&tab=body

export type Tab = 'overview' | 'headers' | 'body' | 'timing' | 'tls' | 'messages'
export const tabs: readonly Tab[] = ['overview', 'headers', 'body', 'timing', 'tls', 'messages']

export interface View {
  page: 'traffic' | 'rules'
  filter: string
  id: number | undefined
  tab: Tab
}

export function parse(hash: string): View {
  const [path = '', search = ''] = split(hash.replace(/^#/, ''))
  const q = new URLSearchParams(search)
  const id = Number(q.get('id'))
  const tab = q.get('tab') as Tab
  return {
    page: path.replace(/\/+$/, '') === '/rules' ? 'rules' : 'traffic',
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
  return `#/${view.page === 'rules' ? 'rules' : ''}${search ? '?' + search : ''}`
}
