// A curl command as a request: for people who have one at hand from documentation or a browser.

import { base64 } from './curl.ts'

export interface CurlRequest {
  method: string
  url: string
  headers: { name: string; value: string }[]
  body: string
  /** The server's certificate need not be good (-k). */
  insecure: boolean
  /** A proxy to go through (-x). */
  via: string
  /** What of the command is left out, in words. */
  notes: string[]
}

/** looksLikeCurl says whether pasted text is a curl command. */
export function looksLikeCurl(text: string): boolean {
  return /^\s*(?:\$\s+)?curl(?:\.exe)?\s/.test(text)
}

/** words splits a command as a POSIX shell (and $'…' of bash) does. It throws what is wrong with it. */
export function words(command: string): string[] {
  const out: string[] = []
  let word: string | undefined
  const add = (s: string) => { word = (word ?? '') + s }
  for (let i = 0; i < command.length; i++) {
    const c = command[i]!
    if (c === "'") {
      const end = command.indexOf("'", i + 1)
      if (end < 0) throw new Error('A single quote is not closed.')
      add(command.slice(i + 1, end))
      i = end
    } else if (c === '"') {
      let s = ''
      for (i++; command[i] !== '"'; i++) {
        if (i >= command.length) throw new Error('A double quote is not closed.')
        if (command[i] === '\\' && /["\\$`\n]/.test(command[i + 1] ?? '')) {
          i++
          if (command[i] !== '\n') s += command[i]
        } else {
          s += command[i]
        }
      }
      add(s)
    } else if (c === '$' && command[i + 1] === "'") {
      const { text, end } = ansi(command, i + 2)
      add(text)
      i = end
    } else if (c === '\\') {
      i++
      if (command[i] === '\r' && command[i + 1] === '\n') i++
      else if (command[i] !== '\n') add(command[i] ?? '')
    } else if (/\s/.test(c)) {
      if (word !== undefined) out.push(word)
      word = undefined
    } else if (/[|;&<>]/.test(c) && word === undefined) {
      break // what follows is another command, or where the output goes
    } else {
      add(c)
    }
  }
  if (word !== undefined) out.push(word)
  return out
}

const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', e: '\x1b', f: '\f', v: '\v', '\\': '\\', "'": "'", '"': '"', '?': '?' }

function ansi(s: string, from: number): { text: string; end: number } {
  let text = ''
  for (let i = from; i < s.length; i++) {
    if (s[i] === "'") return { text, end: i }
    if (s[i] !== '\\') {
      text += s[i]
      continue
    }
    i++
    const number = /^(?:x([0-9a-f]{1,2})|u([0-9a-f]{1,4})|U([0-9a-f]{1,8})|([0-7]{1,3}))/i.exec(s.slice(i, i + 9))
    if (number) {
      text += String.fromCodePoint(number[4] ? Number.parseInt(number[4], 8) : Number.parseInt(number[1] ?? number[2] ?? number[3]!, 16))
      i += number[0].length - 1
    } else {
      text += escapes[s[i] ?? ''] ?? `\\${s[i] ?? ''}`
    }
  }
  throw new Error("A quote that begins with $' is not closed.")
}

// Options with an argument that mean nothing here, and short ones that take one.
const ignoredWithValue = new Set(['--max-time', '--connect-timeout', '--retry', '--retry-delay', '--output', '--write-out', '--cacert', '--capath', '--resolve', '--connect-to', '--interface', '--max-redirs',
  '--limit-rate', '--range', '--dump-header', '--cookie-jar', '--cert', '--key', '--cert-type', '--key-type', '--pass', '--ciphers', '--tls-max', '--noproxy', '--config', '--trace', '--trace-ascii', '--stderr', '--proxy-user'])
const told = new Map([['--cert', 'the client certificate: choose one below'], ['--proxy-user', 'the proxy’s user: keep one in the settings’ routes'], ['--resolve', '--resolve'], ['--connect-to', '--connect-to'],
  ['--range', '--range'], ['--cookie-jar', ''], ['--output', ''], ['--write-out', '']])
const long: Record<string, string> = {
  X: '--request', H: '--header', d: '--data', F: '--form', u: '--user', A: '--user-agent', e: '--referer', b: '--cookie', G: '--get', I: '--head', k: '--insecure', x: '--proxy', T: '--upload-file',
  o: '--output', w: '--write-out', m: '--max-time', E: '--cert', r: '--range', D: '--dump-header', c: '--cookie-jar', K: '--config', U: '--proxy-user',
}
const withValue = new Set(['--request', '--header', '--data', '--data-raw', '--data-binary', '--data-ascii', '--data-urlencode', '--json', '--form', '--form-string', '--user', '--user-agent', '--referer', '--cookie',
  '--proxy', '--upload-file', '--url', '--oauth2-bearer', '--url-query', ...ignoredWithValue])

/** curlRequest reads a curl command. It throws what is wrong with it. */
export function curlRequest(command: string): CurlRequest {
  const list = words(command.trim().replace(/^\$\s+/, ''))
  if (!/^(?:.*[/\\])?curl(?:\.exe)?$/.test(list[0] ?? '')) throw new Error('A curl command begins with curl.')
  const r: CurlRequest = { method: '', url: '', headers: [], body: '', insecure: false, via: '', notes: [] }
  const data: string[] = []
  const query: string[] = []
  let get = false
  let json = false
  const note = (n: string) => { if (n !== '' && !r.notes.includes(n)) r.notes.push(n) }
  const take = (name: string, value: string): void => {
    switch (name) {
      case '--request': r.method = value; return
      case '--url': r.url = value; return
      case '--header': {
        const at = value.search(/[:;]/)
        if (value.startsWith('@')) return note(`the headers in the file ${value.slice(1)}`)
        if (at > 0 && !(value[at] === ':' && value.slice(at + 1).trim() === '')) r.headers.push({ name: value.slice(0, at).trim(), value: value.slice(at + 1).trim() })
        return
      }
      case '--data': case '--data-ascii': case '--data-binary': case '--json':
        if (name === '--json') json = true
        if (value.startsWith('@')) return note(`the body in the file ${value.slice(1)}`)
        data.push(name === '--data' || name === '--data-ascii' ? value.replace(/[\r\n]/g, '') : value)
        return
      case '--data-raw': data.push(value); return
      case '--data-urlencode': {
        const eq = value.indexOf('=')
        if (eq < 0 && value.includes('@')) return note(`the body in the file ${value.slice(value.indexOf('@') + 1)}`)
        data.push(eq > 0 ? `${value.slice(0, eq)}=${encodeURIComponent(value.slice(eq + 1))}` : encodeURIComponent(value.slice(eq + 1)))
        return
      }
      case '--url-query': query.push(value); return
      case '--form': case '--form-string': return note('a multipart form')
      case '--upload-file': r.method ||= 'PUT'; return note(`the body in the file ${value}`)
      case '--user': r.headers.push({ name: 'Authorization', value: `Basic ${base64(new TextEncoder().encode(value))}` }); return
      case '--oauth2-bearer': r.headers.push({ name: 'Authorization', value: `Bearer ${value}` }); return
      case '--user-agent': r.headers.push({ name: 'User-Agent', value }); return
      case '--referer': r.headers.push({ name: 'Referer', value }); return
      case '--cookie':
        if (!value.includes('=')) return note(`the cookies in the file ${value}`)
        r.headers.push({ name: 'Cookie', value })
        return
      case '--proxy': r.via = /^[a-z0-9]+:\/\//i.test(value) ? value : `http://${value}`; return
      default: note(told.get(name) ?? '')
    }
  }
  const flag = (name: string): void => {
    switch (name) {
      case '--get': get = true; return
      case '--head': r.method ||= 'HEAD'; return
      case '--insecure': r.insecure = true; return
      case '--compressed': r.headers.push({ name: 'Accept-Encoding', value: 'gzip, deflate, br' }); return
      case '--next': note('the second request')
    }
  }
  let ended = false
  for (let i = 1; i < list.length && !ended; i++) {
    const w = list[i]!
    if (w.startsWith('--') && w.length > 2) {
      if (w === '--next') ended = true
      if (withValue.has(w)) take(w, list[++i] ?? '')
      else flag(w)
    } else if (w.startsWith('-') && w.length > 1) {
      // Short options may stand together, the last one's argument behind it.
      for (let j = 1; j < w.length; j++) {
        const name = long[w[j]!]
        if (name && withValue.has(name)) {
          take(name, j + 1 < w.length ? w.slice(j + 1) : (list[++i] ?? ''))
          break
        }
        if (name) flag(name)
      }
    } else if (r.url === '') {
      r.url = w
    } else {
      note('the second address')
    }
  }
  if (r.url === '') throw new Error('The command names no address.')
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(r.url)) r.url = `http://${r.url}`
  if (get) query.unshift(...data.splice(0))
  if (query.length > 0) r.url += (r.url.includes('?') ? '&' : '?') + query.join('&')
  r.body = json ? data.join('') : data.join('&')
  const has = (name: string) => r.headers.some((h) => h.name.toLowerCase() === name)
  if (r.body !== '' && !has('content-type')) r.headers.push({ name: 'Content-Type', value: json ? 'application/json' : 'application/x-www-form-urlencoded' })
  if (json && !has('accept')) r.headers.push({ name: 'Accept', value: 'application/json' })
  if (!has('accept')) r.headers.unshift({ name: 'Accept', value: '*/*' })
  r.method ||= r.body !== '' ? 'POST' : 'GET'
  return r
}
