// Ways to the origin as the API writes them: "direct", "system", "pac+URL", or proxies in order.

export interface Way {
  kind: 'direct' | 'system' | 'pac' | 'proxies'
  pac: string
  proxies: string[]
}

export function readVia(via: readonly string[] | null | undefined): Way {
  const list = (via ?? []).map((v) => v.trim()).filter((v) => v !== '')
  const first = list[0] ?? 'direct'
  if (list.length <= 1) {
    if (first === 'direct' || first === 'none') return { kind: 'direct', pac: '', proxies: [] }
    if (first === 'system') return { kind: 'system', pac: '', proxies: [] }
    if (first.startsWith('pac+')) return { kind: 'pac', pac: first.slice(4), proxies: [] }
  }
  return { kind: 'proxies', pac: '', proxies: list }
}

/** writeVia is the way as the API takes it. */
export function writeVia(w: Way): string[] {
  switch (w.kind) {
    case 'direct': return ['direct']
    case 'system': return ['system']
    case 'pac': return [`pac+${w.pac.trim()}`]
    case 'proxies': return w.proxies.map((p) => p.trim()).filter((p) => p !== '')
  }
}

const schemes = ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h']

/** proxyProblem says what is wrong with a proxy's address, "" if nothing. */
export function proxyProblem(text: string): string {
  const p = text.trim()
  if (p === '') return 'Name a proxy, such as http://proxy.example.com:3128.'
  const m = /^([a-z0-9+.-]+):\/\/(.*)$/i.exec(p)
  if (!m) return `Begin with what the proxy speaks: http://${p}, https://… or socks5://…`
  if (!schemes.includes(m[1]!.toLowerCase())) return `A proxy is ${schemes.slice(0, -1).join(', ')} or ${schemes[schemes.length - 1]}, not ${m[1]}.`
  const host = m[2]!.replace(/\/$/, '')
  if (host === '' || host.startsWith(':')) return 'Name the proxy’s host.'
  if (/[/?#\s,]/.test(host)) return 'A proxy is a host and a port only; add further proxies as hops of their own.'
  if (/^[^@]*:[^@]*@/.test(host)) return 'A password does not belong into the address: use the fields below.'
  const port = /:(\d+)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1]
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) return 'A port is a number from 1 to 65535.'
  return ''
}

/** withCredentials puts a user and password into each proxy's address that has none of its own. */
export function withCredentials(via: readonly string[], user: string, password: string): string[] {
  if (user === '' || password === '') return [...via]
  return via.map((v) => v.replace(/^([a-z0-9.-]+:\/\/)(?!.*@)(?=.)/i, (scheme) => `${scheme}${encodeURIComponent(user)}:${encodeURIComponent(password)}@`))
}

export function wayProblem(w: Way): string {
  if (w.kind === 'pac') {
    return w.pac.trim() === '' ? 'Name the PAC file: an http(s) or file address, or a path.' : ''
  }
  if (w.kind !== 'proxies') return ''
  if (writeVia(w).length === 0) return 'Add a proxy.'
  return w.proxies.map(proxyProblem).find((p) => p !== '') ?? ''
}

/** viaWords says a way in a few words. */
export function viaWords(via: readonly string[] | null | undefined): string {
  const w = readVia(via)
  switch (w.kind) {
    case 'direct': return 'directly, through no proxy'
    case 'system': return 'as the system’s proxy settings say'
    case 'pac': return `as the PAC file ${w.pac} says`
    case 'proxies': return w.proxies.join(' → ')
  }
}
