// Lays style sheets out, by the tokens of CSS Syntax Level 3. Only white space between tokens changes, nothing is mended:
// what is read is what was sent. One pass, whatever the text.

/** The most text that is written. */
const most = 32 << 20
/** Deeper blocks are drawn no further in: braces alone would become many times as long. */
const deepest = 12

const special = /["'()[\]{}:;,!\\/ \t\n]/g

/** formatStyle is a style sheet with a line for each declaration. */
export function formatStyle(sheet: string): { text: string; cut: boolean } {
  const text = sheet.replace(/\r\n?|\f/g, '\n') // section 3.3
  const out = new Sheet()
  let at = 0
  while (at < text.length && out.length < most) {
    const to = tokenEnd(text, at)
    out.take(text.slice(at, to))
    at = to
  }
  out.end()
  return { text: out.lines.join('\n'), cut: at < text.length }
}

/** tokenEnd is where the token at a place ends: a string, a comment, an unquoted address, an escape, white space, a mark, or
 * what stands between such. */
function tokenEnd(text: string, at: number): number {
  switch (text[at]) {
    case '"': return past(text, at + 1, /["\\\n]/g)
    case "'": return past(text, at + 1, /['\\\n]/g)
    case '\\': return Math.min(at + 2, text.length)
    case '/': {
      if (text[at + 1] !== '*') return at + 1
      const end = text.indexOf('*/', at + 2)
      return end < 0 ? text.length : end + 2
    }
    case ' ': case '\t': case '\n': return find(text, at, /[^ \t\n]/g)
    case '(': return address(text, at) ? past(text, at + 1, /[)\\]/g) : at + 1
    case '[': case ')': case ']': case '{': case '}': case ':': case ';': case ',': case '!': return at + 1
    default: return find(text, at, special)
  }
}

/** address tells whether a parenthesis opens an unquoted address: all up to its end is one token (section 4.3.6). */
function address(text: string, at: number): boolean {
  return text.slice(Math.max(0, at - 3), at).toLowerCase() === 'url' && !/["']/.test(text[find(text, at + 1, /[^ \t\n]/g)] ?? '')
}

/** past is the place after what ends a token, for a string an unescaped end of line too; an escape does not. */
function past(text: string, at: number, ending: RegExp): number {
  for (;;) {
    at = find(text, at, ending)
    if (text[at] === '\\') at += 2
    else return Math.min(at + 1, text.length)
  }
}

function find(text: string, at: number, what: RegExp): number {
  what.lastIndex = at
  return what.exec(text)?.index ?? text.length
}

/** A style sheet as it is written. */
class Sheet {
  readonly lines: string[] = []
  length = 0
  private depth = 0
  /** What has been read of a rule's head or a declaration; which of the two it is, its end says. */
  private said = ''
  private parts: string[] = []
  private parens = 0
  private name = -1
  private value = 0
  private gap = false
  /** The white space that came last. */
  private space = ''
  /** What the last line ends with. */
  private last: 'start' | 'head' | 'open' | 'close' | 'declaration' | 'comment' = 'start'

  take(token: string): void {
    const space = this.space
    this.space = ''
    switch (token[0]) {
      case ' ': case '\t': case '\n':
        this.space = token
        this.gap = this.said !== ''
        return
      case '{': return this.open()
      case '}': return this.close()
      case ';':
        if (this.parens > 0) break
        return this.finish(';')
      case ',':
        this.gap = false
        this.add(token)
        if (this.parens === 0) {
          this.parts.push(this.said)
          this.said = ''
        }
        this.gap = this.said !== ''
        return
      case ':':
        if (this.parens > 0 || this.name >= 0 || this.parts.length > 0) break
        this.name = this.said.length
        this.add(token)
        this.value = this.said.length
        return
      case '!':
        if (this.parens === 0) this.gap = this.said !== ''
        break
      case '(': case '[': if (token.length === 1) this.parens++; break
      case ')': case ']': this.parens = Math.max(0, this.parens - 1); break
      case '/': if (token.length > 1 && this.empty()) return this.comment(token, space)
    }
    this.add(token)
  }

  end(): void {
    if (!this.empty()) this.finish('')
  }

  private empty(): boolean {
    return this.said === '' && this.parts.length === 0
  }

  private add(token: string): void {
    this.said += this.gap ? ' ' + token : token
    this.gap = false
  }

  private open(): void {
    if (this.last === 'declaration') this.lines.push('')
    // A selector a line; what an at-rule lists stays together.
    const heads = (this.parts[0] ?? '')[0] === '@' ? [[...this.parts, this.said].join(' ')] : [...this.parts, this.said]
    for (const head of heads.slice(0, -1)) this.line(head, 'head')
    const head = heads.at(-1)
    this.line(head ? `${head} {` : '{', 'open')
    this.depth++
    this.clear()
  }

  private close(): void {
    if (!this.empty()) this.finish('')
    this.depth = Math.max(0, this.depth - 1)
    if (this.last === 'open') this.append('}')
    else this.line('}', 'close')
    this.last = 'close'
  }

  /** finish writes a declaration, or an at-rule that has no block. */
  private finish(mark: string): void {
    if (this.empty()) {
      if (this.last === 'start' || this.last === 'open') this.line(mark, 'declaration')
      else this.append(mark)
      this.last = 'declaration'
      return
    }
    const first = this.parts[0] ?? this.said
    let whole = first
    if (this.name > 0 && first[0] !== '@') {
      const value = first.slice(this.value)
      whole = first.slice(0, this.name) + ':' + (value === '' || value[0] === ' ' ? value : ' ' + value)
    }
    const rest = this.parts.length > 0 ? [...this.parts.slice(1), this.said] : []
    this.line([whole, ...rest.filter((r) => r !== '')].join(' ') + mark, 'declaration')
    this.clear()
  }

  /** comment writes a comment that stands by itself; one that follows a declaration on its line stays there. */
  private comment(token: string, space: string): void {
    if (this.last === 'declaration' && space !== '' && !space.includes('\n')) this.append(' ' + token)
    else this.line(token, 'comment')
  }

  private clear(): void {
    this.said = ''
    this.parts = []
    this.parens = 0
    this.name = -1
    this.gap = false
  }

  private line(text: string, last: Sheet['last']): void {
    if (this.last === 'close' && text[0] !== '}') this.lines.push('')
    const whole = '  '.repeat(Math.min(this.depth, deepest)) + text
    this.lines.push(whole)
    this.length += whole.length + 1
    this.last = last
  }

  private append(text: string): void {
    this.lines[this.lines.length - 1] += text
    this.length += text.length
  }
}
