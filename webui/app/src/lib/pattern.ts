// Host patterns as people type them. The server decides what one means; this says what is surely wrong with it while it is
// being typed, in words that help.

/** patternProblem says what is wrong with a host pattern, "" if nothing is that can be seen here. */
export function patternProblem(text: string): string {
  const p = text.trim()
  if (p === '') return 'Name a host, such as api.example.com or *.example.com.'
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(p)) return `Only the host counts: ${hostOf(p) || 'api.example.com'}, without the scheme.`
  if (/\s/.test(p)) return 'A pattern has no spaces; add one entry for each host.'
  if (/[?#@]/.test(p) || (p.includes('/') && !/^\[?[0-9a-f.:]+\/\d+\]?(:|$)/i.test(p))) return 'Only a host (or CIDR network) and a port: no path, no user.'
  if (p.startsWith('[')) {
    return /^\[[0-9a-f:.%/]+\](:(\d+|\*))?$/i.test(p) ? portProblem(p.slice(p.indexOf(']') + 1)) : 'An IPv6 address stands in brackets: [2001:db8::1]:443.'
  }
  const colons = p.split(':').length - 1
  if (colons > 1) return /^[0-9a-f:]+(\/\d+)?$/i.test(p) ? '' : 'An IPv6 address with a port stands in brackets: [2001:db8::1]:443.'
  const [host = '', port] = p.split(':')
  if (port !== undefined) {
    const wrong = portProblem(':' + port)
    if (wrong) return wrong
  }
  if (host === '') return 'Name a host before the port; * means any.'
  if (host.includes('*') && host !== '*' && (!host.startsWith('*.') || host.indexOf('*', 1) > 0)) return 'A star stands alone or first, as in *.example.com.'
  if (/\.\./.test(host)) return 'Two dots in a row are no host name.'
  return ''
}

function portProblem(rest: string): string {
  if (rest === '') return ''
  const port = rest.slice(1)
  if (port === '*') return ''
  return /^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535 ? '' : 'A port is a number from 1 to 65535, or * for any.'
}

/** hostOf is host and port of what may be a whole URL. */
function hostOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/i.exec(url)?.[1] ?? ''
}

/** patternFor is the pattern that names just the host of a URL: its port is said where it is not 443. */
export function patternFor(url: string): string {
  const host = hostOf(url)
  return host.replace(/:443$/, '').toLowerCase()
}

/** exampleURL is an address that a pattern could be tried with. */
export function exampleURL(pattern: string): string {
  const p = pattern.trim().replace(/:\*$/, '').replace(/:443$/, '')
  if (p === '' || p.startsWith('*') || p.includes('/')) return p.startsWith('*.') ? `https://www.${p.slice(2)}/` : ''
  return `https://${p}/`
}

/** samples tells what a pattern takes and what it does not, to be read beside it. */
export function meaning(pattern: string, anyPort: boolean): string {
  const p = pattern.trim()
  if (p === '' || patternProblem(p) !== '') return ''
  const m = /^(.*?)(?::(\d+|\*))?$/.exec(p.startsWith('[') || p.split(':').length === 2 ? p : p + ':')!
  const host = p.split(':').length > 2 && !p.startsWith('[') ? p : m[1]!.replace(/:$/, '')
  const port = m[2] === '*' || (m[2] === undefined && anyPort) ? 'any port' : `port ${m[2] ?? 443} only`
  const who = host === '*' ? 'Every host' : host.startsWith('*.') ? `Every host below ${host.slice(2)}, not ${host.slice(2)} itself` : host.includes('/') ? `Addresses in ${host}` : `Just ${host}`
  return `${who}, ${port}.`
}
