// Scanners that find the display lines of a body without decoding it. A body stays bytes; a line is a few offsets, kept
// in typed arrays, so that a body of 100 MB costs memory for its lines only and its text is decoded where it is looked at.

/** Lines of a body. Line i is indented depth[i] levels and shows key bytes [keys[i], keyEnds[i]) and value bytes [starts[i], ends[i]). */
export interface Lines {
  count: number
  starts: Uint32Array<ArrayBuffer>
  ends: Uint32Array<ArrayBuffer>
  depth: Uint16Array<ArrayBuffer>
  /** For a line that opens a container, the line that closes it; 0 otherwise. */
  close: Uint32Array<ArrayBuffer>
  keys: Uint32Array<ArrayBuffer>
  keyEnds: Uint32Array<ArrayBuffer>
  /** 1: a comma follows. */
  comma: Uint8Array<ArrayBuffer>
  /** Where and why the body stops being what it should be; early: because the bytes end there. */
  broken?: { at: number; message: string; early?: boolean }
  /** Not every line is here: the body has more than can be shown. */
  cut: boolean
}

/** The most lines that are kept; more would cost more memory than they help. */
export const mostLines = 6_000_000

class Builder {
  count = 0
  starts = new Uint32Array(1024)
  ends = new Uint32Array(1024)
  depth = new Uint16Array(1024)
  close = new Uint32Array(1024)
  keys = new Uint32Array(1024)
  keyEnds = new Uint32Array(1024)
  comma = new Uint8Array(1024)

  get full(): boolean { return this.count >= mostLines }

  add(start: number, end: number, depth: number, key = 0, keyEnd = 0): number {
    if (this.count === this.starts.length) this.grow()
    const i = this.count++
    this.starts[i] = start
    this.ends[i] = end
    this.depth[i] = Math.min(depth, 65535)
    this.keys[i] = key
    this.keyEnds[i] = keyEnd
    return i
  }

  private grow(): void {
    const n = this.starts.length * 2
    const wide = (a: Uint32Array<ArrayBuffer>) => { const b = new Uint32Array(n); b.set(a); return b }
    this.starts = wide(this.starts)
    this.ends = wide(this.ends)
    this.close = wide(this.close)
    this.keys = wide(this.keys)
    this.keyEnds = wide(this.keyEnds)
    const depth = new Uint16Array(n)
    depth.set(this.depth)
    this.depth = depth
    const comma = new Uint8Array(n)
    comma.set(this.comma)
    this.comma = comma
  }

  done(cut: boolean, broken?: Lines['broken']): Lines {
    const n = this.count
    const lines: Lines = {
      count: n, cut, starts: this.starts, ends: this.ends, depth: this.depth, close: this.close, keys: this.keys, keyEnds: this.keyEnds, comma: this.comma,
      ...(broken ? { broken } : {}),
    }
    // Copying many lines takes twice their room for a while: what is not used of it is left where it is.
    if (n > 1 << 20) return lines
    return {
      ...lines, starts: lines.starts.slice(0, n), ends: lines.ends.slice(0, n), depth: lines.depth.slice(0, n), close: lines.close.slice(0, n),
      keys: lines.keys.slice(0, n), keyEnds: lines.keyEnds.slice(0, n), comma: lines.comma.slice(0, n),
    }
  }
}

/** textLines finds the lines of text; CR LF, LF and CR end one. */
export function textLines(b: Uint8Array): Lines {
  const out = new Builder()
  let start = 0
  for (let i = 0; i < b.length; i++) {
    const c = b[i]!
    if (c !== 10 && c !== 13) continue
    if (out.full) return out.done(true)
    out.add(start, i, 0)
    if (c === 13 && b[i + 1] === 10) i++
    start = i + 1
  }
  if (start < b.length || b.length === 0) out.add(start, b.length, 0)
  return out.done(false)
}

const enum C { Quote = 34, Comma = 44, Colon = 58, OpenBracket = 91, Backslash = 92, CloseBracket = 93, OpenBrace = 123, CloseBrace = 125 }

function blank(c: number): boolean { return c === 32 || c === 10 || c === 13 || c === 9 }

/**
 * jsonLines lays JSON out as lines, one for each scalar, opening and closing. Values are not touched: numbers keep every
 * digit, strings their escapes, members their order and repetition. Several values in a row (NDJSON) follow each other.
 */
export function jsonLines(b: Uint8Array): Lines {
  const out = new Builder()
  const open: number[] = [] // lines of open containers
  const kinds: number[] = [] // their closing byte
  let i = b[0] === 0xef && b[1] === 0xbb && b[2] === 0xbf ? 3 : 0
  let key = 0
  let keyEnd = 0
  let afterValue = false
  const fail = (at: number, message: string, early = false): Lines => {
    // The rest is shown as it is, with a member name that was read already.
    const from = keyEnd > 0 ? key : at
    if (from < b.length) out.add(from, b.length, open.length)
    for (const line of open) out.close[line] = out.count
    return out.done(false, { at, message, ...(early || at >= b.length ? { early: true } : {}) })
  }
  for (;;) {
    while (i < b.length && blank(b[i]!)) i++
    if (i >= b.length) break
    if (out.full) {
      for (const line of open) out.close[line] = out.count
      return out.done(true)
    }
    const c = b[i]!
    const inside = kinds.length > 0 ? kinds[kinds.length - 1]! : 0
    if (afterValue && inside !== 0) {
      if (c === C.Comma) {
        out.comma[out.count - 1] = 1
        i++
        afterValue = false
        while (i < b.length && blank(b[i]!)) i++
        if (b[i] === inside) return fail(i, 'a comma is followed by the end of its container')
        continue
      }
      if (c !== inside) return fail(i, `a comma or ${inside === C.CloseBrace ? '}' : ']'} should stand here`)
    }
    if (inside !== 0 && c === inside && keyEnd === 0) {
      const line = open.pop()!
      kinds.pop()
      if (line === out.count - 1) {
        // An empty container stays on its line.
        out.ends[line] = i + 1
      } else {
        out.close[line] = out.add(i, i + 1, open.length)
      }
      i++
      afterValue = true
      continue
    }
    if (inside === C.CloseBrace && keyEnd === 0) {
      if (c !== C.Quote) return fail(i, 'a member name in double quotes should stand here')
      const end = stringEnd(b, i)
      if (end < 0) return fail(i, 'this string does not end', true)
      key = i
      keyEnd = end
      i = end
      while (i < b.length && blank(b[i]!)) i++
      if (b[i] !== C.Colon) return fail(i, 'a colon should stand here', i >= b.length)
      i++
      continue
    }
    if (c === C.OpenBrace || c === C.OpenBracket) {
      open.push(out.add(i, i + 1, open.length, key, keyEnd))
      kinds.push(c === C.OpenBrace ? C.CloseBrace : C.CloseBracket)
      i++
      afterValue = false
    } else {
      let end: number
      if (c === inside) return fail(i, 'a value should stand here')
      if (c === C.Quote) {
        end = stringEnd(b, i)
        if (end < 0) return fail(i, 'this string does not end', true)
      } else {
        end = i
        while (end < b.length && isScalar(b[end]!)) end++
        if (end === i) return fail(i, 'a value should stand here')
        if (!valid(b, i, end)) return fail(i, 'this is not a value of JSON', end >= b.length)
      }
      out.add(i, end, open.length, key, keyEnd)
      i = end
      afterValue = true
    }
    key = keyEnd = 0
  }
  if (open.length > 0) return fail(b.length, 'the text ends inside a container')
  if (out.count === 0) return fail(0, 'there is no value')
  return out.done(false)
}

function isScalar(c: number): boolean {
  return (c >= 48 && c <= 57) || (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 45 || c === 43 || c === 46
}

function valid(b: Uint8Array, from: number, to: number): boolean {
  if (to - from > 5000) return /^-?\d+$/.test(latin(b, from, to))
  const text = latin(b, from, to)
  return text === 'true' || text === 'false' || text === 'null' || /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)
}

function latin(b: Uint8Array, from: number, to: number): string {
  let s = ''
  for (let i = from; i < to; i += 4096) s += String.fromCharCode(...b.subarray(i, Math.min(i + 4096, to)))
  return s
}

/** stringEnd is the offset behind the string that begins at i, or -1. */
function stringEnd(b: Uint8Array, i: number): number {
  for (i++; ;) {
    const quote = b.indexOf(C.Quote, i)
    if (quote < 0) return -1
    // A quote is escaped when an odd number of backslashes stand before it.
    let slashes = 0
    for (let k = quote - 1; k >= i && b[k] === C.Backslash; k--) slashes++
    if (slashes % 2 === 0) return quote + 1
    i = quote + 1
  }
}

const LT = 60
const GT = 62
const Slash = 47

/** xmlLines lays XML out by its tags: one line for each tag or text, short elements with text on one. */
export function xmlLines(b: Uint8Array): Lines {
  const out = new Builder()
  const open: number[] = []
  let i = b[0] === 0xef && b[1] === 0xbb && b[2] === 0xbf ? 3 : 0
  const fail = (at: number, message: string): Lines => {
    if (at < b.length) out.add(at, b.length, open.length)
    for (const line of open) out.close[line] = out.count
    return out.done(false, { at, message, ...(at >= b.length || message.endsWith('does not end') ? { early: true } : {}) })
  }
  while (i < b.length) {
    if (out.full) break
    if (b[i] !== LT) {
      let end = b.indexOf(LT, i)
      if (end < 0) end = b.length
      let from = i
      let to = end
      while (from < to && blank(b[from]!)) from++
      while (to > from && blank(b[to - 1]!)) to--
      if (to > from) out.add(from, to, open.length)
      i = end
      continue
    }
    if (starts(b, i, '<!--')) {
      const end = find(b, i + 4, '-->')
      if (end < 0) return fail(i, 'this comment does not end')
      out.add(i, end, open.length)
      i = end
    } else if (starts(b, i, '<![CDATA[')) {
      const end = find(b, i + 9, ']]>')
      if (end < 0) return fail(i, 'this CDATA section does not end')
      out.add(i, end, open.length)
      i = end
    } else if (b[i + 1] === 63) {
      const end = find(b, i + 2, '?>')
      if (end < 0) return fail(i, 'this instruction does not end')
      out.add(i, end, open.length)
      i = end
    } else if (b[i + 1] === 33) {
      const end = declarationEnd(b, i)
      if (end < 0) return fail(i, 'this declaration does not end')
      out.add(i, end, open.length)
      i = end
    } else {
      const end = tagEnd(b, i)
      if (end < 0) return fail(i, 'this tag does not end')
      if (b[i + 1] === Slash) {
        const line = open.pop()
        if (line === undefined) return fail(i, 'this end tag has no start tag')
        if (line === out.count - 1) {
          out.ends[line] = end
        } else if (line === out.count - 2 && b[out.starts[out.count - 1]!] !== LT && end - out.starts[line]! < 160) {
          // Start tag, text and end tag fit on one line.
          out.count--
          out.ends[line] = end
        } else {
          out.close[line] = out.add(i, end, open.length)
        }
      } else if (b[end - 2] === Slash) {
        out.add(i, end, open.length)
      } else {
        open.push(out.add(i, end, open.length))
      }
      i = end
    }
  }
  if (i < b.length) {
    for (const line of open) out.close[line] = out.count
    return out.done(true)
  }
  if (open.length > 0) return fail(b.length, 'the text ends before its elements do')
  return out.done(false)
}

function starts(b: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (b[at + i] !== text.charCodeAt(i)) return false
  return true
}

/** find is the offset behind the next text, or -1. */
function find(b: Uint8Array, at: number, text: string): number {
  for (let i = b.indexOf(text.charCodeAt(0), at); i >= 0; i = b.indexOf(text.charCodeAt(0), i + 1)) {
    if (starts(b, i, text)) return i + text.length
  }
  return -1
}

function tagEnd(b: Uint8Array, i: number): number {
  for (i++; i < b.length; i++) {
    const c = b[i]!
    if (c === GT) return i + 1
    if (c === 34 || c === 39) {
      i = b.indexOf(c, i + 1)
      if (i < 0) return -1
    }
  }
  return -1
}

function declarationEnd(b: Uint8Array, i: number): number {
  let depth = 0
  for (; i < b.length; i++) {
    const c = b[i]!
    if (c === C.OpenBracket) depth++
    else if (c === C.CloseBracket) depth--
    else if (c === GT && depth <= 0) return i + 1
  }
  return -1
}

/** What the lines of a body are found by. */
export type Scanner = 'text' | 'json' | 'xml'

export function scan(kind: Scanner, b: Uint8Array): Lines {
  return kind === 'json' ? jsonLines(b) : kind === 'xml' ? xmlLines(b) : textLines(b)
}

/**
 * Layout breaks lines into rows of a given width and leaves out what is folded away. Row r shows a part of line[r],
 * beginning with the part[r]-th.
 */
export interface Layout {
  rows: number
  line: Uint32Array
  part: Uint32Array
}

export const indent = 2

/** width is how many bytes of a line's text fit into one row, never so few that deep nesting takes the row away. */
export function width(columns: number, depth: number): number {
  return Math.max(columns - depth * indent, 24)
}

/** lineAt is the line that shows the byte at offset, or the one before it. */
export function lineAt(lines: Lines, offset: number): number {
  let low = 0
  let high = lines.count - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    const from = lines.keyEnds[middle]! > 0 ? lines.keys[middle]! : lines.starts[middle]!
    if (from <= offset) low = middle
    else high = middle - 1
  }
  return low
}

/** rowAt is the row of a layout that shows the byte at offset. */
export function rowAt(lines: Lines, shape: Layout, columns: number, offset: number): number {
  const line = lineAt(lines, offset)
  let low = 0
  let high = shape.rows - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (shape.line[middle]! < line) low = middle + 1
    else high = middle
  }
  const name = lines.keyEnds[line]! > 0 ? lines.keyEnds[line]! - lines.keys[line]! + 2 : 0
  const into = offset < lines.starts[line]! ? Math.max(0, offset - lines.keys[line]!) : offset - lines.starts[line]! + name
  const row = low + Math.floor(into / width(columns, lines.depth[line]!))
  return shape.line[row] === line ? row : low
}

export function layout(lines: Lines, columns: number, folded: ReadonlySet<number>): Layout {
  let rows = 0
  let line: Uint32Array = new Uint32Array(Math.max(lines.count, 16))
  let part: Uint32Array = new Uint32Array(line.length)
  for (let i = 0; i < lines.count; i++) {
    const text = lines.ends[i]! - lines.starts[i]! + (lines.keyEnds[i]! > 0 ? lines.keyEnds[i]! - lines.keys[i]! + 2 : 0)
    const fold = lines.close[i]! > 0 && folded.has(i)
    const parts = fold ? 1 : Math.max(1, Math.ceil(text / width(columns, lines.depth[i]!)))
    if (rows + parts > line.length) {
      const n = Math.max(line.length * 2, rows + parts)
      const a = new Uint32Array(n)
      a.set(line)
      line = a
      const c = new Uint32Array(n)
      c.set(part)
      part = c
    }
    for (let p = 0; p < parts; p++) {
      line[rows] = i
      part[rows] = p
      rows++
    }
    if (fold) i = Math.min(lines.close[i]!, lines.count - 1)
  }
  return { rows, line, part }
}

/** whole moves an offset off the middle of a UTF-8 character, forward. */
export function whole(b: Uint8Array, at: number, end: number): number {
  for (let n = 0; n < 3 && at < end && (b[at]! & 0xc0) === 0x80; n++) at++
  return at
}
