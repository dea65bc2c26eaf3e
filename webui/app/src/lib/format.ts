// Numbers, sizes and times in the form people read them.

/** Bytes: 0 B, 512 B, 1.5 KB, 20 MB (powers of 1024, as curl and browsers count). Unknown sizes are a dash. */
export function size(bytes: number | undefined): string {
  if (bytes === undefined || bytes < 0) return '–'
  if (bytes < 1024) return `${bytes} B`
  const units = ['KB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = ''
  for (unit of units) {
    value /= 1024
    if (value < 999.5) break
  }
  return `${significant(value)} ${unit}`
}

/** A size beside the one that it is compared with: to the byte where the two are not the same and would read the same. */
export function sizeBeside(of: number | undefined, bytes: number | undefined): string {
  if (of === undefined || bytes === undefined || of === bytes || size(of) !== size(bytes)) return size(bytes)
  return `${count(bytes)} B (${bytes > of ? '+' : '−'}${count(Math.abs(bytes - of))} B)`
}

/** Milliseconds: 0.4 ms, 34 ms, 1.2 s, 3 min 5 s, 2 h 3 min. A phase that did not happen is a dash. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || ms < 0) return '–'
  if (ms < 0.95) return `${Math.round(ms * 100) / 100} ms`
  if (ms < 9.95) return `${Math.round(ms * 10) / 10} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 59.95) return `${significant(seconds)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return parts(Math.floor(whole / 60), 'min', whole % 60, 's')
  return parts(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min')
}

function parts(a: number, unitA: string, b: number, unitB: string): string {
  return b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`
}

function significant(value: number): string {
  return value < 9.95 ? (Math.round(value * 10) / 10).toString() : Math.round(value).toString()
}

const grouped = new Intl.NumberFormat('en-US')

/** 1234567 as 1,234,567. */
export function count(n: number): string {
  return grouped.format(n)
}

/** "1 exchange", "2 exchanges". */
export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** The time of day in the reader's zone, with milliseconds: 14:03:22.081. */
export function clock(iso: string): string {
  const d = new Date(iso)
  if (Number.isNaN(d.getTime())) return iso
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`
}

/** Date and time of day in the reader's zone. */
export function moment(iso: string): string {
  const d = new Date(iso)
  if (Number.isNaN(d.getTime())) return iso
  const two = (n: number) => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(iso)}`
}

/** A media type as a short word: json, html, png, javascript. */
export function typeName(mime: string | undefined): string {
  const type = (mime ?? '').split(';')[0]!.trim().toLowerCase()
  if (!type) return ''
  const known: Record<string, string> = {
    'text/plain': 'text', 'application/javascript': 'js', 'text/javascript': 'js', 'application/x-javascript': 'js',
    'image/svg+xml': 'svg', 'image/x-icon': 'icon', 'image/vnd.microsoft.icon': 'icon', 'application/octet-stream': 'binary',
    'text/event-stream': 'events', 'application/x-www-form-urlencoded': 'form', 'multipart/form-data': 'multipart',
    'application/x-ndjson': 'ndjson', 'application/grpc': 'grpc', 'application/grpc+proto': 'grpc',
  }
  if (known[type]) return known[type]
  const sub = type.slice(type.indexOf('/') + 1)
  const suffix = /\+(json|xml|yaml|zip)$/.exec(sub)
  if (suffix) return suffix[1]!
  return sub.replace(/^(x-|vnd\.)/, '')
}
