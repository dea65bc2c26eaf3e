// Captured text is shown as what it is. Characters that reorder, hide or break text are written out, so that a URL or a
// header cannot look like another one (Unicode TR36, "bidi" and invisible characters).

/** Whether code is a character that is invisible or changes how its neighbours are shown. */
export function isDeceptive(code: number): boolean {
  return (
    (code < 0x20 && code !== 0x09 && code !== 0x0a) ||
    (code >= 0x7f && code <= 0x9f) ||
    code === 0xad || code === 0x061c || code === 0x180e || code === 0xfeff ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    (code >= 0xfff9 && code <= 0xfffb) ||
    (code >= 0xe0000 && code <= 0xe0fff)
  )
}

export interface Piece {
  text: string
  /** The text stands for a character that would not be seen, or would deceive. */
  special: boolean
}

// A fast test, since most text has none of these. Line breaks are special only outside running text.
const suspect = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/

/** name is how a deceptive character is written out: NUL, ESC and their like by number, as ‹U+202E›. */
function name(code: number): string {
  if (code === 0x0a) return '\\n'
  if (code === 0x0d) return '\\r'
  if (code === 0x09) return '\\t'
  return `‹U+${code.toString(16).toUpperCase().padStart(4, '0')}›`
}

/** A joiner between two pictures makes one of them, such as a family, and deceives nobody. */
const joined = /(\p{Extended_Pictographic}[\u{fe0f}\u{1f3fb}-\u{1f3ff}]?)\u200d(?=\p{Extended_Pictographic})/gu
/** What stands for such a joiner meanwhile: a character that no text has (a noncharacter). */
const harmless = '\ufdd0'

/** pieces splits text into runs to be shown as they are and names of characters that must not act. */
export function pieces(text: string, lineBreaks = false): Piece[] {
  if (!suspect.test(text) && !(lineBreaks && /[\n\t]/.test(text))) return [{ text, special: false }]
  const out: Piece[] = []
  let plain = ''
  for (const c of text.includes('\u200d') ? text.replace(joined, '$1' + harmless) : text) {
    const code = c.codePointAt(0)!
    if (c === harmless) plain += '\u200d'
    else if (isDeceptive(code) || (lineBreaks && (code === 0x0a || code === 0x09))) {
      if (plain) out.push({ text: plain, special: false })
      plain = ''
      out.push({ text: name(code), special: true })
    } else {
      plain += c
    }
  }
  if (plain) out.push({ text: plain, special: false })
  return out
}

/** hidden names the deceptive characters of text, each once: for places that must take the text as it is. */
export function hidden(text: string): string[] {
  return [...new Set(pieces(text).filter((p) => p.special).map((p) => p.text))]
}

/** clip shortens text that nobody reads to its end on one line. */
export function clip(text: string, most = 500): string {
  return text.length <= most ? text : text.slice(0, most) + '…'
}

/** visible is text with its deceptive characters written out, for places that take plain text only (titles, names). */
export function visible(text: string): string {
  return pieces(text, true).map((p) => p.text).join('')
}
