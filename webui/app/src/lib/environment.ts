// Environment variables that send a program's traffic through a proxy and make it trust a CA, as each shell sets them.

import { quote } from './curl.ts'

export type Shell = 'sh' | 'fish' | 'PowerShell' | 'cmd'
export const shells: readonly Shell[] = ['sh', 'fish', 'PowerShell', 'cmd']

/**
 * variables are those that programs look for: curl takes http_proxy in small letters only (a CGI script's HTTP_PROXY is what
 * its client says), Node its proxy only where it is told so; each library has its own name for the CA.
 */
export function variables(proxy: string, ca: string, shell: Shell): [string, string][] {
  const url = `http://${proxy}`
  // Windows does not tell the names apart by their letters.
  const small = shell === 'sh' || shell === 'fish'
  return [
    ...(small ? [['http_proxy', url], ['https_proxy', url]] as [string, string][] : []),
    ['HTTP_PROXY', url], ['HTTPS_PROXY', url],
    ['SSL_CERT_FILE', ca], ['CURL_CA_BUNDLE', ca], ['REQUESTS_CA_BUNDLE', ca], ['NODE_EXTRA_CA_CERTS', ca], ['NODE_USE_ENV_PROXY', '1'],
    ['GIT_SSL_CAINFO', ca], ['AWS_CA_BUNDLE', ca], ['CARGO_HTTP_CAINFO', ca], ['DENO_CERT', ca],
  ]
}

/** assign writes one assignment that the shell takes literally. */
export function assign(name: string, value: string, shell: Shell): string {
  switch (shell) {
    case 'sh': return `export ${name}=${quote(value)}`
    case 'fish': return `set -gx ${name} '${value.replace(/[\\']/g, '\\$&')}'`
    case 'PowerShell': return `$env:${name} = '${value.replace(/'/g, "''")}'`
    case 'cmd': return `set "${name}=${value}"`
  }
}

export function environment(proxy: string, ca: string, shell: Shell): string {
  return variables(proxy, ca, shell).map(([name, value]) => assign(name, value, shell)).join('\n')
}
