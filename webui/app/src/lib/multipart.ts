// Multipart bodies (RFC 2046, 5.1) taken apart by their boundary.

export interface Part {
  headers: { name: string; value: string }[]
  name: string
  filename: string
  type: string
  /** The part's bytes are those of the body from start to end. */
  start: number
  end: number
}

/** parameter reads one parameter of a field such as multipart/form-data; boundary="x". */
export function parameter(value: string, name: string): string {
  const m = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, 'i').exec(value)
  return m ? (m[1] !== undefined ? m[1].replace(/\\(.)/g, '$1') : m[2]!) : ''
}

/** multipart finds the first parts; more says that there are others. A body that does not end as it should gives the parts that are there. */
export function multipart(body: Uint8Array, boundary: string, most = 100): { parts: Part[]; complete: boolean; more: boolean } {
  const parts: Part[] = []
  if (!boundary) return { parts, complete: false, more: false }
  const mark = new TextEncoder().encode('--' + boundary)
  let at = next(body, mark, 0)
  let complete = false
  while (at >= 0 && parts.length < most) {
    let start = at + mark.length
    if (body[start] === 45 && body[start + 1] === 45) {
      complete = true
      break
    }
    while (body[start] === 32 || body[start] === 9) start++
    if (body[start] === 13) start++
    if (body[start] === 10) start++
    const following = next(body, mark, start)
    let end = following < 0 ? body.length : following
    if (following >= 0) {
      if (body[end - 1] === 10) end--
      if (body[end - 1] === 13) end--
    }
    parts.push(part(body, start, Math.max(end, start)))
    at = following
  }
  return { parts, complete, more: !complete && at >= 0 }
}

/** next is the next delimiter line at or after from. */
function next(body: Uint8Array, mark: Uint8Array, from: number): number {
  for (let i = body.indexOf(45, from); i >= 0; i = body.indexOf(45, i + 1)) {
    if (i > 0 && body[i - 1] !== 10) continue
    let k = 0
    while (k < mark.length && body[i + k] === mark[k]) k++
    if (k === mark.length) return i
  }
  return -1
}

function part(body: Uint8Array, start: number, end: number): Part {
  const headers: Part['headers'] = []
  let at = start
  while (at < end) {
    let eol = body.indexOf(10, at)
    if (eol < 0 || eol >= end) eol = end
    const line = new TextDecoder().decode(body.subarray(at, eol)).replace(/\r$/, '')
    at = Math.min(eol + 1, end)
    if (line === '') break
    const colon = line.indexOf(':')
    if (colon > 0) headers.push({ name: line.slice(0, colon), value: line.slice(colon + 1).trim() })
  }
  const get = (name: string) => headers.find((h) => h.name.toLowerCase() === name)?.value ?? ''
  const disposition = get('content-disposition')
  return { headers, name: parameter(disposition, 'name'), filename: parameter(disposition, 'filename'), type: get('content-type'), start: at, end }
}
